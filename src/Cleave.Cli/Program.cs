using Cleave.Cli;
using Cleave.Compute;

NativeHeap.KeepSmall();
return await CleaveApp.RunAsync(args);
