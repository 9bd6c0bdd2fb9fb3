using System.CommandLine;
using Cleave.Compute;
using Cleave.Endurance.Fuzz;
using Cleave.Endurance.Load;
using Cleave.Endurance.Paths;

NativeHeap.KeepSmall();
var root = new RootCommand("Long runs that try to break a worker: load with cuts, and hostile frames; and a path that delays packets, to hold the emulated one against") { LoadCommand.Create(), FuzzCommand.Create(), PathCommand.Create() };
return await root.Parse(args).InvokeAsync();
