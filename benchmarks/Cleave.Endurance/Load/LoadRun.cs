using System.Diagnostics;
using System.Net;
using Cleave.Compute;
using Cleave.Inference;
using Cleave.Inference.Decoding;
using Cleave.Inference.Sessions;
using Cleave.Models;
using Cleave.Protocol;
using Cleave.Protocol.Grpc;
using Cleave.Protocol.Links;
using Cleave.Protocol.Wan;

namespace Cleave.Endurance.Load;

/// <summary>
/// A load run:
/// <list type="number">
/// <item>every piece of work is run alone, unsplit: what it must give;</item>
/// <item>a worker process with tenants, an emulated link before each;</item>
/// <item>sessions work through the pieces in turn while links are cut at random and memory is read;</item>
/// <item>what the worker still holds, and the report.</item>
/// </list>
/// </summary>
internal sealed class LoadRun(LoadOptions options, Action<string> say)
{
    private const int SessionTokens = 512;
    private const int MaxProblemsKept = 20;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);

    private readonly ResourceSamples _worker = new();
    private readonly ResourceSamples _client = new();
    private readonly List<string> _problems = [];
    private readonly long[] _tokens = new long[options.Sessions];
    private TrustedModel _model = null!;
    private LoadJob[] _jobs = [];
    private long _conversations;
    private long _wrong;
    private long _failed;
    private long _resumed;
    private long _replayed;
    private int _cuts;

    public async Task<LoadReport> RunAsync(CancellationToken cancellationToken)
    {
        // 1. What each piece of work gives alone.
        using var device = new CpuDevice();
        await SoloAsync(device, cancellationToken);
        IModelSource source = ModelSource.Open(options.Model);
        using TrustedModel model = TrustedModel.Load(source, TokenizerLoader.Load(source), device, Cut.Default, options.Sessions * SessionTokens);
        _model = model;

        // 2. The worker and the links.
        await using LoadedWorker worker = await LoadedWorker.StartAsync(options.Model, model.MiddleRange.ToString(), options.Tenants, cancellationToken);
        var wans = new List<WanEmulator>();
        var links = new List<ILink>();
        try
        {
            foreach (Protocol.Pairing.PairingLink pairing in worker.Links)
            {
                WanEmulator wan = WanEmulator.Start(
                    new IPEndPoint(IPAddress.Loopback, 0), new IPEndPoint(IPAddress.Loopback, pairing.Port), new WanOptions { Rtt = options.Rtt });
                wans.Add(wan);
                links.Add(new GrpcLink(pairing.At("127.0.0.1", wan.ListenEndPoint.Port)));
            }

            await KnownAsync(links, cancellationToken);

            // 3. Work, cuts, readings.
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            long started = Stopwatch.GetTimestamp();
            over.CancelAfter(options.Duration);
            Task watching = WatchAsync(worker, started, over.Token);
            Task cutting = CutAsync(wans, over.Token);
            await Task.WhenAll(Enumerable.Range(0, options.Sessions).Select(i => Task.Run(() => WorkAsync(i, links[i % links.Count], over.Token), CancellationToken.None)));
            await over.CancelAsync();
            await Task.WhenAll(watching, cutting);
            cancellationToken.ThrowIfCancellationRequested();
            if (!worker.IsAlive)
            {
                Note("the worker process died");
            }

            // 4. What is left, and the report.
            TimeSpan elapsed = Stopwatch.GetElapsedTime(started);
            return Report(elapsed, worker.IsAlive ? await LeftAsync(links[0], cancellationToken) : null);
        }
        finally
        {
            foreach (ILink link in links)
            {
                await link.DisposeAsync();
            }

            foreach (WanEmulator wan in wans)
            {
                await wan.DisposeAsync();
            }
        }
    }

    private async Task SoloAsync(CpuDevice device, CancellationToken cancellationToken)
    {
        IModelSource source = ModelSource.Open(options.Model);
        using TrustedModel whole = TrustedModel.Load(source, TokenizerLoader.Load(source), device, cut: null, SessionTokens);
        _jobs = LoadJob.All(whole);
        foreach (LoadJob job in _jobs)
        {
            await using var solo = new TextGenerator(
                new SplitSession(whole, whole.CreateLocalMiddle(SessionTokens, SessionTokens), SessionTokens), DecoderCatalog.Create("sequential", new DrafterContext()));
            await job.PrepareAsync(solo, cancellationToken);
        }

        say($"{_jobs.Length} pieces of work, {_jobs.Sum(job => job.Expected.Length)} tokens in all, were run alone");
    }

    /// <summary>Waits until the running worker knows its new tenants; the links may be cut already.</summary>
    private static async Task KnownAsync(List<ILink> links, CancellationToken cancellationToken)
    {
        foreach (ILink link in links)
        {
            for (int attempt = 0; ; attempt++)
            {
                try
                {
                    await link.DescribeAsync(cancellationToken);
                    break;
                }
                catch (WireException problem) when (attempt < 100 && problem.Error.Code is WireErrorCode.Unauthorized or WireErrorCode.LinkLost or WireErrorCode.Unreachable or WireErrorCode.TimedOut)
                {
                    await Task.Delay(200, cancellationToken);
                }
            }
        }
    }

    /// <summary>What the worker holds once everybody has left: a session that nobody could close goes by itself within a minute. Null when it does not say.</summary>
    private static async Task<WorkerLoad?> LeftAsync(ILink link, CancellationToken cancellationToken)
    {
        long since = Stopwatch.GetTimestamp();
        while (true)
        {
            await Task.Delay(500, cancellationToken);
            bool isOver = Stopwatch.GetElapsedTime(since) > s_patience;
            try
            {
                WorkerLoad load = (await link.DescribeAsync(cancellationToken)).Load;
                if (isOver || load is { Sessions: 0, KvTokensUsed: 0 })
                {
                    return load;
                }
            }
            catch (WireException)
            {
                // The last cut is not over.
                if (isOver)
                {
                    return null;
                }
            }
        }
    }

    private async Task WorkAsync(int session, ILink link, CancellationToken over)
    {
        for (int turn = 0; !over.IsCancellationRequested; turn++)
        {
            LoadJob job = _jobs[turn % _jobs.Length];
            int at = 0;
            bool same = true;
            try
            {
                RemoteMiddle middle = await RemoteMiddle.OpenAsync(new WorkerRoster([link], static _ => { }), Options(), over);
                await using var generator = new TextGenerator(
                    new SplitSession(_model, middle, SessionTokens), DecoderCatalog.Create("suffix", new DrafterContext()), options.Rtt.TotalMilliseconds);
                await job.RunAsync(
                    generator,
                    token =>
                    {
                        same &= at < job.Expected.Length && job.Expected[at] == token;
                        at++;
                        Interlocked.Increment(ref _tokens[session]);
                    },
                    over);
                Interlocked.Increment(ref _conversations);
                same &= at == job.Expected.Length;
            }
            catch (OperationCanceledException) when (over.IsCancellationRequested)
            {
                // Time is up; what was said so far was compared.
            }
            catch (WireException problem) when (problem.Error.Code is WireErrorCode.LinkLost or WireErrorCode.Unreachable or WireErrorCode.TimedOut && at == 0)
            {
                // The link was down when the session was to be opened: nothing was lost, the piece is done again.
                turn--;
                await Task.Delay(100, CancellationToken.None);
            }
            catch (Exception problem) when (problem is WireException or InferenceException)
            {
                Interlocked.Increment(ref _failed);
                Note($"session {session}, piece {turn % _jobs.Length}, token {at}: {problem.Message}");
                await Task.Delay(100, CancellationToken.None);
            }

            if (!same)
            {
                Interlocked.Increment(ref _wrong);
                Note($"session {session}, piece {turn % _jobs.Length}: other tokens than alone, within the first {at}");
            }
        }
    }

    private RemoteMiddleOptions Options() => new()
    {
        Range = _model.MiddleRange,
        HiddenSize = _model.Config.HiddenSize,
        MaxTokens = SessionTokens,
        Events = happened =>
        {
            if (happened.Kind == SessionEventKind.Resumed)
            {
                Interlocked.Increment(ref _resumed);
            }
            else if (happened.Kind == SessionEventKind.Replayed)
            {
                Interlocked.Increment(ref _replayed);
            }
        },
    };

    private async Task CutAsync(List<WanEmulator> wans, CancellationToken over)
    {
        var random = new Random(options.Seed);
        try
        {
            while (true)
            {
                await Task.Delay(-Math.Log(1 - random.NextDouble()) * options.MeanCutInterval, over);
                wans[random.Next(wans.Count)].CutNow(TimeSpan.FromMilliseconds(random.Next(0, 400)));
                _cuts++;
            }
        }
        catch (OperationCanceledException)
        {
            // Time is up.
        }
    }

    private async Task WatchAsync(LoadedWorker worker, long started, CancellationToken over)
    {
        try
        {
            while (true)
            {
                await Task.Delay(options.SampleInterval, over);
                TimeSpan at = Stopwatch.GetElapsedTime(started);
                (long resident, int descriptors, _) = LoadedWorker.Read(worker.ProcessId);
                _worker.Add(at, resident, descriptors);
                (resident, descriptors, _) = LoadedWorker.Read(Environment.ProcessId);
                _client.Add(at, resident, descriptors);
                if (_worker.Count % 12 == 0)
                {
                    say($"{at.TotalMinutes:F1} min: {Interlocked.Read(ref _conversations)} conversations, {_wrong} different, {_failed} failed, {_cuts} cuts, {_resumed} resumed");
                }
            }
        }
        catch (Exception problem) when (problem is OperationCanceledException or IOException)
        {
            // Time is up, or the worker is gone, which the report says.
        }
    }

    private void Note(string problem)
    {
        lock (_problems)
        {
            if (_problems.Count < MaxProblemsKept)
            {
                _problems.Add(problem);
            }
        }
    }

    private LoadReport Report(TimeSpan elapsed, WorkerLoad? left)
    {
        if (options.Out is { } path)
        {
            File.WriteAllLines(Path.ChangeExtension(path, ".csv"), ["process,seconds,resident MiB,descriptors", .. _worker.Lines("worker"), .. _client.Lines("client")]);
        }

        return new LoadReport
        {
            Options = options,
            Elapsed = elapsed,
            Conversations = _conversations,
            Wrong = _wrong,
            Failed = _failed,
            Problems = _problems,
            TokensPerSecond = [.. _tokens.Select(tokens => tokens / elapsed.TotalSeconds)],
            Cuts = _cuts,
            Resumed = _resumed,
            Replayed = _replayed,
            Left = left,
            WorkerMemory = _worker.Trend(),
            ClientMemory = _client.Trend(),
            WorkerDescriptors = _worker.Descriptors(),
            ClientDescriptors = _client.Descriptors(),
        };
    }
}
