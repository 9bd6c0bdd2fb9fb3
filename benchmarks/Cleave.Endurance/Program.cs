using System.CommandLine;
using Cleave.Endurance.Fuzz;
using Cleave.Endurance.Load;

var root = new RootCommand("Long runs that try to break a worker: load with cuts, and hostile frames") { LoadCommand.Create(), FuzzCommand.Create() };
return await root.Parse(args).InvokeAsync();
