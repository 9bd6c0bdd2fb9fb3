using Cleave.Cli;
using Cleave.Compute;

MallocArenas.Limit();
return await CleaveApp.RunAsync(args);
