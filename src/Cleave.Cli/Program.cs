using Cleave.Cli;

return await CleaveApp.RunAsync(args);
