using System.CommandLine;
using Cleave.Worker.Commands;

namespace Cleave.Worker;

/// <summary>cleave-worker: runs some decoder layers of a model for those who hold its pairing link.</summary>
internal static class Program
{
    private static Task<int> Main(string[] args)
    {
        var root = new RootCommand("Runs some decoder layers of a model for clients that hold its pairing link. It sees activations, never text or token ids.");
        ServeCommand.AddTo(root);
        root.Subcommands.Add(TenantsCommand.Create());
        return root.Parse(args).InvokeAsync();
    }
}
