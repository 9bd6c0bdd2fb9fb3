using System.Diagnostics;
using Cleave.Protocol;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Pairing;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Commands;

public sealed class WorkerProcessTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("cleave-").FullName;

    private string KeyDirectory => Path.Combine(_directory, "keys");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_child_serves_and_ends_when_its_standard_input_does()
    {
        await using WorkerProcess worker = WorkerProcess.Start("--model", Repository.Demo, "--layers", "5..7", "--listen", "127.0.0.1:0", "--child");
        PairingLink link = await worker.LinkAsync();
        await using (var client = new GrpcLink(link))
        {
            WorkerDescription description = await client.DescribeAsync(TestContext.Current.CancellationToken);
            Assert.Equal((5, 7), (description.LayerStart, description.LayerEnd));

            // One tenant, who may use all of it: a gateway on this machine opens a session a conversation.
            Assert.Equal(new ServingLimits().MaxSessions, description.Limits.MaxSessionsPerTenant);
        }

        worker.Process.StandardInput.Close();
        await worker.ExitAsync();
        Assert.Equal(0, worker.Process.ExitCode);
        Assert.Contains("also contains the embedding", worker.Errors);
        Assert.DoesNotContain(link.Token, worker.Errors);
    }

    [Fact]
    public async Task A_parent_that_is_killed_leaves_no_worker_behind()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        // The shell holds the writing end of the worker's standard input (descriptor 3) and waits; then it is killed outright.
        string pipe = Path.Combine(_directory, "pipe");
        string script = $"mkfifo {pipe}; '{WorkerProcess.Program}' --model '{Repository.Demo}' --layers 5..7 --listen 127.0.0.1:0 --child < {pipe} & child=$!; exec 3> {pipe}; echo $child; wait";
        await using WorkerProcess shell = WorkerProcess.Start("/bin/sh", ["-c", script]);
        int id = int.Parse((await shell.Process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken))!);
        PairingLink link = await shell.LinkAsync();
        using Process child = Process.GetProcessById(id);
        shell.Process.Kill(entireProcessTree: false);
        await Eventually.Holds(() => child.HasExited, "the worker's end");
        await using var client = new GrpcLink(link);
        WireException gone = await Assert.ThrowsAsync<WireException>(async () => await client.DescribeAsync(TestContext.Current.CancellationToken));

        // Nobody is there, or by now somebody else, whom the system gave the port.
        Assert.Contains(gone.Error.Code, (WireErrorCode[])[WireErrorCode.Unreachable, WireErrorCode.WrongFingerprint]);
    }

    [Fact]
    public async Task The_key_outlives_the_process_and_links_stay_valid()
    {
        string[] serve = ["--model", Repository.Demo, "--layers", "5..7", "--listen", "127.0.0.1:0", "--key-dir", KeyDirectory, "--exit-with-parent"];
        PairingLink first;
        await using (WorkerProcess worker = WorkerProcess.Start(serve))
        {
            first = await worker.LinkAsync();
            worker.Process.StandardInput.Close();
            await worker.ExitAsync();
        }

        Assert.All(Directory.GetFiles(KeyDirectory), file =>
        {
            Assert.DoesNotContain(first.Token, File.ReadAllText(file));
            if (!OperatingSystem.IsWindows())
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            }
        });

        // Again, elsewhere: the old link's key and token hold at the new address, and nothing secret is printed.
        string linkFile = Path.Combine(_directory, "link");
        await using WorkerProcess again = WorkerProcess.Start([.. serve, "--link-file", linkFile, "--advertise", "worker.example:443", "--new-token"]);
        await Eventually.Holds(() => File.Exists(linkFile), "the link file");
        PairingLink renewed = PairingLink.Parse(File.ReadAllText(linkFile));
        Assert.Equal(first.Fingerprint.ToArray(), renewed.Fingerprint.ToArray());
        Assert.Equal("worker.example:443", renewed.Address);
        Assert.NotEqual(first.Token, renewed.Token);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(linkFile));
        }

        again.Process.StandardInput.Close();
        await again.ExitAsync();
        Assert.Equal("", await again.Process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));

        // A third start has nothing new to show but says which links hold.
        await using WorkerProcess third = WorkerProcess.Start(serve);
        await Eventually.Holds(() => third.Errors.Contains("cannot be shown again"), "the remark");
        third.Process.StandardInput.Close();
        await third.ExitAsync();
        Assert.Equal("", await third.Process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Tenants_come_and_go_while_the_worker_runs()
    {
        string linkFile = Path.Combine(_directory, "link");
        await using WorkerProcess worker = WorkerProcess.Start(
            "--model", Repository.Demo, "--layers", "5..7", "--listen", "127.0.0.1:0", "--key-dir", KeyDirectory, "--link-file", linkFile, "--exit-with-parent");
        await Eventually.Holds(() => File.Exists(linkFile), "the link file");
        PairingLink owner = PairingLink.Parse(File.ReadAllText(linkFile));
        (int exitCode, string output, string errors) = await WorkerProcess.RunAsync(
            "tenants", "add", "alice", "--sessions", "3", "--rows-per-second", "500", "--address", owner.Address, "--key-dir", KeyDirectory);
        Assert.Equal((0, true), (exitCode, errors.Contains("shown once")));
        PairingLink alice = PairingLink.Parse(output);
        await using var client = new GrpcLink(alice);
        await Eventually.HoldsAsync(async () =>
        {
            try
            {
                WorkerDescription description = await client.DescribeAsync(TestContext.Current.CancellationToken);
                Assert.Equal((3, 500), (description.Limits.MaxSessionsPerTenant, description.Limits.MaxRowsPerSecond));
                return true;
            }
            catch (WireException e) when (e.Error.Code is WireErrorCode.Unauthorized or WireErrorCode.LinkLost)
            {
                // Not read again yet; and whoever asks too often is cut off.
                await Task.Delay(200, TestContext.Current.CancellationToken);
                return false;
            }
        });

        await using TestClient session = await TestClient.OpenAsync(client);
        (_, string list, _) = await WorkerProcess.RunAsync("tenants", "list", "--key-dir", KeyDirectory);
        Assert.Contains("alice", list);
        Assert.Contains("default", list);
        Assert.DoesNotContain(alice.Token, list);
        Assert.Equal(0, (await WorkerProcess.RunAsync("tenants", "revoke", "alice", "--key-dir", KeyDirectory)).ExitCode);
        Assert.Equal(WireErrorCode.Unauthorized, (await session.ErrorAsync()).Code);
        WireException revoked = await Assert.ThrowsAsync<WireException>(async () => await client.DescribeAsync(TestContext.Current.CancellationToken));
        Assert.Equal(WireErrorCode.Unauthorized, revoked.Error.Code);
        (int missing, _, string why) = await WorkerProcess.RunAsync("tenants", "revoke", "alice", "--key-dir", KeyDirectory);
        Assert.Equal((1, true), (missing, why.Contains("no tenant alice")));
        await using var ownersLink = new GrpcLink(owner);
        await ownersLink.DescribeAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_key_that_others_may_read_is_refused()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        await WorkerProcess.RunAsync("tenants", "add", "alice", "--key-dir", KeyDirectory);
        string key = Path.Combine(KeyDirectory, "worker-key.pem");
        File.SetUnixFileMode(key, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead);
        (int exitCode, string output, string errors) = await WorkerProcess.RunAsync("--model", Repository.Demo, "--key-dir", KeyDirectory, "--listen", "127.0.0.1:0", "--exit-with-parent");
        Assert.Equal((1, ""), (exitCode, output));
        Assert.Contains("chmod 600", errors);
    }

    [Theory]
    [InlineData("--model FILE, or --pull OWNER/NAME with --layers a..b, is needed")]
    [InlineData("no such file", "--model", "nowhere.gguf", "--ephemeral")]
    [InlineData("holds layers 0..12", "--model", "DEMO", "--layers", "2..13", "--ephemeral")]
    [InlineData("give stored|q8|packed", "--model", "DEMO", "--weights", "7")]
    [InlineData("is no range of layers", "--model", "DEMO", "--layers", "5")]
    [InlineData("has no port", "--model", "DEMO", "--listen", "localhost")]
    [InlineData("no address of this machine", "--model", "DEMO", "--listen", "worker.example:1")]
    [InlineData("must be from 1", "--model", "DEMO", "--kv-tokens", "0")]
    [InlineData("must be at least 1", "tenants", "add", "x", "--sessions", "0")]
    [InlineData("Cannot parse argument 'many' for option '--sessions'", "tenants", "add", "x", "--sessions", "many")]
    [InlineData("Cannot parse argument 'many' for option '--max-sessions'", "--max-sessions", "many")]
    [InlineData("Cannot parse argument 'long' for option '--awake-ms'", "--awake-ms", "long")]
    [InlineData("must be from 0 to 50", "--awake-ms", "51")]
    [InlineData("letters, digits", "tenants", "add", "a b", "--key-dir", "KEYS")]
    public async Task A_wrong_command_line_is_explained(string expected, params string[] arguments)
    {
        (int exitCode, _, string errors) = await WorkerProcess.RunAsync([.. arguments.Select(a => a.Replace("DEMO", Repository.Demo).Replace("KEYS", KeyDirectory))]);
        Assert.NotEqual(0, exitCode);
        Assert.Contains(expected, errors);
    }

    [Fact]
    public async Task A_port_in_use_is_explained()
    {
        using var taken = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        (int exitCode, _, string errors) = await WorkerProcess.RunAsync("--model", Repository.Demo, "--layers", "5..7", "--listen", taken.LocalEndpoint.ToString()!, "--ephemeral");
        Assert.Equal(1, exitCode);
        Assert.Contains("is in use: give another port", errors);
    }
}
