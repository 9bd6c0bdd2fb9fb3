using System.Diagnostics;
using System.Text.Json;

namespace Cleave.EndToEnd.Tests;

/// <summary><c>cleave chat</c> killed outright and continued: no message is lost, and an answer that was cut off comes again.</summary>
public sealed class ChatRestartTests : IDisposable
{
    private const string Question = "Tell me a bedtime story about a brave mouse.";
    private readonly string _state = Directory.CreateTempSubdirectory("cleave-chat-").FullName;

    [Fact]
    public async Task AChatKilledWithinAnAnswerGoesOnWithTheSameAnswer()
    {
        (string Role, string Text)[] undisturbed = await UndisturbedAsync();

        // Killed before the first token, within the answer, and between two messages.
        string answer = undisturbed[1].Text;
        foreach (string moment in (string[])["", answer[..6], answer + "\n"])
        {
            Directory.Delete(Folder, recursive: true);
            using (Cli cli = Start())
            {
                await cli.Input.WriteLineAsync(Question);
                await cli.Input.FlushAsync();
                if (moment.Length == 0)
                {
                    await WaitForFileAsync(Question);
                }
                else
                {
                    await cli.WaitForAsync(moment);
                }

                cli.Signal("KILL");
                await cli.WaitAsync();
            }

            Assert.Contains(Stored(), turn => turn.Text == Question);
            using Cli again = Start("--continue");
            await again.Input.WriteLineAsync("Thank you!");
            again.Input.Close();
            (await again.WaitAsync()).Expect(0);
            Assert.Equal(undisturbed, Stored());
        }
    }

    [Fact]
    public async Task AChatKilledAtARandomMomentLosesNoMessage()
    {
        long started = Stopwatch.GetTimestamp();
        (string Role, string Text)[] undisturbed = await UndisturbedAsync();
        double wholeMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        int rounds = int.TryParse(Environment.GetEnvironmentVariable("CLEAVE_KILL_ROUNDS"), out int set) ? set : 3;
        int stored = 0;
        for (int seed = 0; seed < rounds; seed++)
        {
            Directory.Delete(Folder, recursive: true);
            using (Cli cli = Start())
            {
                await cli.Input.WriteLineAsync(Question);
                await cli.Input.WriteLineAsync("Thank you!");
                cli.Input.Close();

                // From the beginning of the process until after its end.
                await Task.Delay(TimeSpan.FromMilliseconds(new Random(seed).NextDouble() * 1.1 * wholeMs), TestContext.Current.CancellationToken);
                cli.SignalIfAlive("KILL");
                await cli.WaitAsync();
            }

            // What was stored is the beginning of the undisturbed conversation: whole messages, none out of place, none changed.
            bool any = Directory.Exists(Folder) && Directory.GetFiles(Folder, "*.chat.json").Length > 0;
            (string Role, string Text)[] before = any ? Stored() : [];
            stored += before.Length > 0 ? 1 : 0;
            for (int i = 0; i < before.Length; i++)
            {
                Assert.Equal(undisturbed[i].Role, before[i].Role);
                Assert.True(undisturbed[i].Text.StartsWith(before[i].Text, StringComparison.Ordinal), $"seed {seed}, message {i}: {before[i].Text}");
            }

            using Cli again = before.Length > 0 ? Start("--continue") : Start();
            foreach (string message in (string[])[Question, "Thank you!"])
            {
                if (!before.Contains(("user", message)))
                {
                    await again.Input.WriteLineAsync(message);
                }
            }

            again.Input.Close();
            (await again.WaitAsync()).Expect(0);
            Assert.Equal(undisturbed, Stored());
        }

        Assert.True(stored > 0, "every kill came before anything was stored: nothing was put to the test");
    }

    [Fact]
    public async Task ConversationsAreTheirOwnersAloneAndOneProcessHoldsEach()
    {
        CliResult none = await RunAsync("--continue");
        none.Expect(1);
        Assert.Contains("no conversation", none.Error, StringComparison.Ordinal);

        using Cli holder = Start();
        await holder.Input.WriteLineAsync(Question);
        await holder.Input.FlushAsync();
        await WaitForFileAsync(Question);
        string file = Assert.Single(Directory.GetFiles(Folder, "*.chat.json"));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Folder));
        }

        CliResult held = await RunAsync("--continue");
        held.Expect(1);
        Assert.Contains("open in another process", held.Error, StringComparison.Ordinal);
        holder.Signal("KILL");
        await holder.WaitAsync();

        await File.WriteAllTextAsync(file, "{\"Version\":1,", TestContext.Current.CancellationToken);
        CliResult damaged = await RunAsync("--continue");
        damaged.Expect(1);
        Assert.Contains(file, damaged.Error, StringComparison.Ordinal);
        Assert.Contains("without --continue", damaged.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NothingIsWrittenWhenAskedNotTo()
    {
        using Cli cli = Start("--no-save");
        await cli.Input.WriteLineAsync("Name five colours.");
        cli.Input.Close();
        (await cli.WaitAsync()).Expect(0);
        Assert.False(Directory.Exists(Folder));
    }

    public void Dispose() => Directory.Delete(_state, recursive: true);

    private string Folder => Path.Combine(_state, "cleave", "chats");

    private async Task<(string Role, string Text)[]> UndisturbedAsync()
    {
        using Cli cli = Start();
        await cli.Input.WriteLineAsync(Question);
        await cli.Input.WriteLineAsync("Thank you!");
        cli.Input.Close();
        (await cli.WaitAsync()).Expect(0);
        return Stored();
    }

    private Cli Start(params string[] more) => Cli.Start(
        ["chat", "--max-tokens", "24", "--temperature", "0.8", "--wan", "40ms", .. more.Contains("--continue") ? [] : (string[])["--seed", "7"], .. more],
        new Dictionary<string, string?> { ["XDG_STATE_HOME"] = _state });

    private async Task<CliResult> RunAsync(params string[] more)
    {
        using Cli cli = Start(more);
        cli.Input.Close();
        return await cli.WaitAsync();
    }

    private async Task WaitForFileAsync(string text)
    {
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!Directory.Exists(Folder) || !Directory.GetFiles(Folder, "*.chat.json").Any(file => File.ReadAllText(file).Contains(text, StringComparison.Ordinal)))
        {
            await Task.Delay(1, timeout.Token);
        }
    }

    private (string Role, string Text)[] Stored()
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Assert.Single(Directory.GetFiles(Folder, "*.chat.json"))));
        return [.. json.RootElement.GetProperty("turns").EnumerateArray().Select(static turn => (turn.GetProperty("role").GetString()!, turn.GetProperty("text").GetString()!))];
    }
}
