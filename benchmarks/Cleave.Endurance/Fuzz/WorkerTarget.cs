using Cleave.Compute;
using Cleave.Models;
using Cleave.Protocol.Codec;
using Cleave.Protocol.Frames;
using Cleave.Worker;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tenants;

namespace Cleave.Endurance.Fuzz;

/// <summary>
/// A whole worker: an input is what a client with a valid token sends on one stream, sessions, caches and compute included. After it the
/// worker holds nothing of it. A first byte that is even has a valid open frame put before the rest.
/// </summary>
internal sealed class WorkerTarget : IFuzzTarget
{
    private static readonly LayerRange s_layers = new(1, 2);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly CpuDevice _device = new(threads: 1);
    private static readonly Tenant s_mallory = new("mallory", TenantTable.HashToken("token"), new TenantQuota(), DateTimeOffset.UnixEpoch);

    private readonly TenantTable _tenants = new();
    private readonly WorkerModel _model;
    private readonly WorkerEndpoint _endpoint;

    public WorkerTarget(string modelPath)
    {
        _model = WorkerModel.Load(ModelSource.Open(modelPath), _device, s_layers, 512);
        _tenants.Replace([s_mallory]);
        _endpoint = new WorkerEndpoint(_model, _tenants);
    }

    public string Name => "worker";

    public IEnumerable<byte[]> Seeds()
    {
        byte[][] frames = [.. SeedFrames.Client(s_layers.Start, s_layers.End, _model.Config.HiddenSize).Select(FrameScript.Encode)];
        yield return [0, .. FrameScript.Join(frames[2..7])];
        yield return [1, .. FrameScript.Join(frames)];
    }

    public void Run(ReadOnlySpan<byte> input)
    {
        if (input.IsEmpty)
        {
            return;
        }

        var frames = new Queue<byte[]>(FrameScript.Split(input[1..]));
        byte[]? open = (input[0] & 1) == 0 ? FrameScript.Encode(SeedFrames.Client(s_layers.Start, s_layers.End, _model.Config.HiddenSize)[0]) : null;
        bool closed = false;
        Task serving = _endpoint.ServeAsync("mallory", _ => Next(), Answered, CancellationToken.None);
        serving.WaitAsync(s_patience).GetAwaiter().GetResult();
        if (_endpoint.Sessions > 0)
        {
            // Forks outlive their original: revoking the tenant ends them.
            _tenants.Replace([]);
            _tenants.Replace([s_mallory]);
        }

        SpinWait.SpinUntil(() => _endpoint is { Sessions: 0, KvTokensUsed: 0 }, s_patience);
        if (_endpoint.Sessions != 0 || _endpoint.KvTokensUsed != 0)
        {
            throw new InvalidOperationException($"{_endpoint.Sessions} sessions and {_endpoint.KvTokensUsed} KV tokens were left behind");
        }

        ValueTask<ReadOnlyMemory<byte>?> Next()
        {
            if (open is { } first)
            {
                open = null;
                return ValueTask.FromResult<ReadOnlyMemory<byte>?>(first);
            }

            if (frames.TryDequeue(out byte[]? frame))
            {
                return ValueTask.FromResult<ReadOnlyMemory<byte>?>(frame);
            }

            if (closed)
            {
                return ValueTask.FromResult<ReadOnlyMemory<byte>?>(null);
            }

            // What was queued is computed first.
            closed = true;
            SpinWait.SpinUntil(() => _endpoint.Describe("mallory").Load.QueuedRows == 0, s_patience);
            return ValueTask.FromResult<ReadOnlyMemory<byte>?>(FrameScript.Encode(new CloseFrame()));
        }

        static ValueTask Answered(WorkerFrame frame, CancellationToken cancellationToken)
        {
            byte[] bytes = FrameScript.Encode(frame);
            return FrameCodec.TryRead(bytes, out WorkerFrame? _, out _) ? ValueTask.CompletedTask : throw new InvalidOperationException("an answer is no valid frame");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _endpoint.DisposeAsync();
        _model.Dispose();
        _device.Dispose();
    }
}
