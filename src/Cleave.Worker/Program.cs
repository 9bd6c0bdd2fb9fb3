using System.CommandLine;
using System.Runtime.InteropServices;
using Cleave.Compute;
using Cleave.Worker.Commands;

namespace Cleave.Worker;

/// <summary>cleave-worker: runs some decoder layers of a model for those who hold its pairing link.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        NativeHeap.KeepSmall();
        var root = new RootCommand("Runs some decoder layers of a model for clients that hold its pairing link. It sees activations, never text or token ids.");
        ServeCommand.AddTo(root);
        root.Subcommands.Add(TenantsCommand.Create());

        // Ctrl-C in a terminal reaches every process of the foreground group. A child leaves with its parent and not before:
        // the parent may be stopping no more than an answer.
        bool isChild = args.Contains("--child") || args.Contains("--exit-with-parent");
        using PosixSignalRegistration? ignored = isChild ? PosixSignalRegistration.Create(PosixSignal.SIGINT, static signal => signal.Cancel = true) : null;
        var invocation = new InvocationConfiguration();
        if (isChild)
        {
            invocation.ProcessTerminationTimeout = null;
        }

        return await root.Parse(args).InvokeAsync(invocation).ConfigureAwait(false);
    }
}
