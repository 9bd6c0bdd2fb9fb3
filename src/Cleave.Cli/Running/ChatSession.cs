using Cleave.Cli.Terminal;
using Cleave.Inference;

namespace Cleave.Cli.Running;

/// <summary>
/// A conversation on the terminal. A turn:
/// <list type="number">
/// <item>read a line; /commands act on the conversation; what was said is on disk before anything else happens;</item>
/// <item>render the whole conversation in the model's template: the generator sends only what the session does not hold yet;</item>
/// <item>show the answer as it comes; Ctrl-C ends it and keeps what was said.</item>
/// </list>
/// </summary>
/// <param name="place">Where answers are computed.</param>
/// <param name="options">How.</param>
/// <param name="system">System message of a new conversation, or of one continued; null leaves it as it is.</param>
/// <param name="interrupts">Ctrl-C.</param>
/// <param name="file">Where the conversation is kept; null keeps it in memory only.</param>
/// <param name="modelName">Name of the model, kept with it.</param>
/// <param name="status">Shows how far the prompt is read.</param>
internal sealed class ChatSession(
    ConversationPlace place, GenerationOptions options, string? system, Interrupts interrupts, ChatFile? file, string modelName, StatusLine status)
{
    private const string Help = """
        /reset        forget the conversation
        /system TEXT  set the system message and start anew
        /undo         take back the last message and its answer
        /again        answer the last message once more
        /stats        what the last answer took
        /help         this list
        /exit         leave (so does Ctrl-D)
        Ctrl-C stops an answer; at the prompt it leaves.
        """;

    private readonly List<ChatTurn> _turns = Begin(system, file?.Stored);
    private readonly bool _interactive = !Console.IsInputRedirected;
    private GenerationStatistics? _last;
    private ulong _seed = options.Sampling.Seed;

    /// <summary>Talks until the input ends or /exit.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (file?.Stored is { } stored)
        {
            ShowStored(stored);
            if (_turns is [.., { Role: "user" }])
            {
                // The answer was cut off: it comes out again, from the same seed.
                await AnswerAsync(cancellationToken);
            }
        }

        while (await ReadLineAsync(cancellationToken) is { } line)
        {
            // 1. A command, or a message.
            string text = line.Trim();
            if (text.Length == 0)
            {
                continue;
            }

            if (text is "/exit" or "/quit")
            {
                return;
            }

            if (!text.StartsWith('/') || text.StartsWith("//", StringComparison.Ordinal))
            {
                _turns.Add(new ChatTurn("user", text.StartsWith('/') ? text[1..] : text));
                Save();
                await AnswerAsync(cancellationToken);
            }
            else if (Act(text))
            {
                await AnswerAsync(cancellationToken);
            }
        }
    }

    /// <summary>Carries out a command; true when the last message is to be answered (again).</summary>
    private bool Act(string command)
    {
        string[] parts = command.Split(' ', 2, StringSplitOptions.TrimEntries);
        switch (parts[0])
        {
            case "/reset":
                _turns.RemoveAll(static turn => turn.Role != "system");
                Save();
                Console.Error.WriteLine("forgotten");
                return false;
            case "/system":
                _turns.Clear();
                if (parts.Length > 1)
                {
                    _turns.Add(new ChatTurn("system", parts[1]));
                }

                Save();
                return false;
            case "/undo":
                Console.Error.WriteLine(TakeBack("assistant") | TakeBack("user") ? "taken back" : "there is nothing to take back");
                Save();
                return false;
            case "/again":
                TakeBack("assistant");
                _seed++;
                Save();
                return _turns is [.., { Role: "user" }];
            case "/stats":
                ShowStatistics();
                return false;
            case "/help":
                Console.Error.WriteLine(Help);
                return false;
            default:
                Console.Error.WriteLine($"there is no command {parts[0]}; /help lists them, and a message that starts with / is written //");
                return false;
        }
    }

    private bool TakeBack(string role)
    {
        if (_turns.Count == 0 || _turns[^1].Role != role)
        {
            return false;
        }

        _turns.RemoveAt(_turns.Count - 1);
        return true;
    }

    private async Task AnswerAsync(CancellationToken cancellationToken)
    {
        // 2. The conversation in the model's own words.
        (TextGenerator generator, string? reason) = place.For(_turns);
        if (reason is not null)
        {
            Console.Error.WriteLine($"[kept on this machine: the conversation matches the rule {reason}]");
        }

        int[] prompt = Conversation.PromptIds(generator.Session.Model.Tokenizer, _turns);

        // 3. The answer.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using IDisposable taken = interrupts.TakeOver(stop.Cancel);
        var said = new System.Text.StringBuilder();
        try
        {
            await Answer.GenerateAsync(
                generator, prompt, options with { Sampling = options.Sampling with { Seed = _seed } },
                (text, _) =>
                {
                    status.Clear();
                    said.Append(text);
                    Console.Out.Write(text);
                    Console.Out.Flush();
                },
                stop.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            status.Clear();
            Console.Out.Write(" [stopped]");
        }
        catch (InferenceException exception)
        {
            Console.Error.WriteLine("error: " + exception.Message);
        }

        Console.Out.WriteLine();
        _last = generator.Statistics;
        _turns.Add(new ChatTurn("assistant", said.ToString()));
        Save();
    }

    private static List<ChatTurn> Begin(string? system, StoredChat? stored)
    {
        List<ChatTurn> turns = [.. stored?.Turns ?? []];
        if (system is not null)
        {
            turns.RemoveAll(static turn => turn.Role == "system");
            turns.Insert(0, new ChatTurn("system", system));
        }

        return turns;
    }

    private void Save() => file?.Save(new StoredChat(StoredChat.CurrentVersion, modelName, _seed, _turns));

    private void ShowStored(StoredChat stored)
    {
        if (stored.Model != modelName)
        {
            Console.Error.WriteLine($"this conversation was held with {stored.Model}; it goes on with {modelName}");
        }

        foreach (ChatTurn turn in stored.Turns)
        {
            Console.Error.WriteLine($"[{turn.Role}] {turn.Text}");
        }
    }

    private void ShowStatistics() => Console.Error.WriteLine(_last is null ? "nothing was answered yet" : FormattableString.Invariant(
        $"{_last.Decoder}: {_last.Tokens} tokens, {_last.TokensPerSecond:F1} tok/s, {_last.TokensPerRoundTrip:F2} per round trip; prompt {_last.PromptTokens} tokens, {_last.ReusedTokens} of them held already; first token after {_last.TimeToFirstTokenMs:F0} ms; {_last.BytesUp:N0} bytes up, {_last.BytesDown:N0} down; RTT {place.Current.RttMs:F1} ms"));

    private async Task<string?> ReadLineAsync(CancellationToken cancellationToken)
    {
        if (_interactive)
        {
            Console.Error.Write("> ");
        }

        // Reading a terminal cannot be cancelled: leave the read behind when Ctrl-C comes at the prompt.
        Task<string?> reading = Task.Run(Console.In.ReadLine, CancellationToken.None);
        return await reading.WaitAsync(cancellationToken);
    }
}
