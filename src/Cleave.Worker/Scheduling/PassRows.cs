using System.Runtime.InteropServices;
using Cleave.Compute;
using Cleave.Engine;
using Cleave.Worker.Sessions;

namespace Cleave.Worker.Scheduling;

/// <summary>The rows of one forward pass: gathered from steps of several sessions, run through the layers together, and read back where they are returned.</summary>
/// <param name="model">The layers.</param>
/// <param name="maxRows">Most rows of a pass.</param>
internal sealed class PassRows(WorkerModel model, int maxRows) : IDisposable
{
    private readonly int _width = model.Config.HiddenSize;
    private readonly DeviceTensor _hidden = model.Stack.Device.Allocate(maxRows, model.Config.HiddenSize);
    private readonly DeviceTensor _output = model.Stack.Device.Allocate(maxRows, model.Config.HiddenSize);
    private readonly float[] _staging = new float[maxRows * model.Config.HiddenSize];
    private readonly AttentionPlan _plan = new();
    private readonly List<int> _returned = [];

    /// <summary>Rows so far.</summary>
    public int Count { get; private set; }

    /// <summary>Of them, those read back.</summary>
    public int Returned => _returned.Count;

    /// <summary>Begins a pass.</summary>
    public void Clear()
    {
        _plan.Clear();
        _returned.Clear();
        Count = 0;
    }

    /// <summary>Adds the rows of a step that <paramref name="cache"/> has just taken.</summary>
    /// <param name="step">The step.</param>
    /// <param name="dropped">Rows the cache did not take.</param>
    /// <param name="cache">The session's.</param>
    /// <param name="returnAll">True to read all of them back.</param>
    public void Add(PendingStep step, bool[] dropped, KvCache cache, bool returnAll)
    {
        int count = dropped.AsSpan().Count(false);
        if (count > 0)
        {
            cache.AddToPlan(_plan, count);
        }

        for (int i = 0; i < step.Rows.Length; i++)
        {
            if (dropped[i])
            {
                continue;
            }

            if (returnAll || step.Returned[i])
            {
                _returned.Add(Count);
            }

            step.Hidden.AsSpan(i * _width, _width).CopyTo(_staging.AsSpan(Count++ * _width));
        }
    }

    /// <summary>Runs them.</summary>
    public void Run()
    {
        if (Count == 0)
        {
            return;
        }

        IComputeDevice device = model.Stack.Device;
        device.Upload(_staging.AsSpan(0, Count * _width), _hidden, Count);
        model.Stack.Forward(_hidden, _plan, model.Pool.Arena);
        if (_returned.Count == Count)
        {
            device.Download(_hidden, Count, _staging);
        }
        else if (_returned.Count > 0)
        {
            device.CopyRows(_hidden, CollectionsMarshal.AsSpan(_returned), _output);
            device.Download(_output, _returned.Count, _staging);
        }
    }

    /// <summary>Returned rows of the pass that has run: [count, hiddenSize].</summary>
    public ReadOnlySpan<float> Output(int first, int count) => _staging.AsSpan(first * _width, count * _width);

    public void Dispose()
    {
        _hidden.Dispose();
        _output.Dispose();
    }
}
