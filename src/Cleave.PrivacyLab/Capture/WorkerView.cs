using System.Runtime.InteropServices;
using Cleave.Models;
using Cleave.Protocol;

namespace Cleave.PrivacyLab.Capture;

/// <summary>
/// All a worker sees of one session: for every row its id, parent and step, the activations that came in and those that went out
/// (decoded from the wire), which rows were committed, sizes and times. No token, no text: what an attack is given.
/// </summary>
public sealed class WorkerView
{
    private readonly List<ViewedRow> _rows = [];
    private readonly List<ViewedStep> _steps = [];
    private readonly List<float> _entering = [];
    private readonly List<float> _leaving = [];
    private readonly List<bool> _kept = [];
    private readonly Dictionary<ulong, int> _index = [];

    /// <param name="hiddenSize">Numbers per row.</param>
    /// <param name="wire">How activations were encoded.</param>
    /// <param name="middle">Layers the worker ran.</param>
    public WorkerView(int hiddenSize, WireType wire, LayerRange middle)
    {
        HiddenSize = hiddenSize;
        Wire = wire;
        Middle = middle;
    }

    /// <summary>Numbers per row.</summary>
    public int HiddenSize { get; }

    /// <summary>How activations were encoded.</summary>
    public WireType Wire { get; }

    /// <summary>Layers the worker ran.</summary>
    public LayerRange Middle { get; }

    /// <summary>Rows in the order they came.</summary>
    public ReadOnlySpan<ViewedRow> Rows => CollectionsMarshal.AsSpan(_rows);

    /// <summary>Steps in order.</summary>
    public ReadOnlySpan<ViewedStep> Steps => CollectionsMarshal.AsSpan(_steps);

    /// <summary>Hidden state of a row entering the worker's layers: [hiddenSize].</summary>
    public ReadOnlySpan<float> Entering(int row) => CollectionsMarshal.AsSpan(_entering).Slice(row * HiddenSize, HiddenSize);

    /// <summary>Hidden state of a row leaving them: [hiddenSize].</summary>
    public ReadOnlySpan<float> Leaving(int row) => CollectionsMarshal.AsSpan(_leaving).Slice(row * HiddenSize, HiddenSize);

    /// <summary>All rows' states entering: [rows, hiddenSize].</summary>
    public ReadOnlySpan<float> AllEntering => CollectionsMarshal.AsSpan(_entering);

    /// <summary>All rows' states leaving: [rows, hiddenSize].</summary>
    public ReadOnlySpan<float> AllLeaving => CollectionsMarshal.AsSpan(_leaving);

    /// <summary>True when the row was committed before the view ended.</summary>
    public bool IsKept(int row) => _kept[row];

    /// <summary>Index of a row by id, -1 when it was never seen.</summary>
    public int IndexOf(ulong id) => _index.GetValueOrDefault(id, -1);

    internal void AddStep(
        ReadOnlySpan<ulong> keep, ReadOnlySpan<ulong> ids, ReadOnlySpan<ulong> parents, ReadOnlySpan<float> entering, ReadOnlySpan<float> leaving,
        int bytesUp, int bytesDown, double sentMs, double answeredMs)
    {
        foreach (ulong id in keep)
        {
            _kept[_index[id]] = true;
        }

        _steps.Add(new ViewedStep(_rows.Count, ids.Length, keep.Length, bytesUp, bytesDown, sentMs, answeredMs));
        for (int i = 0; i < ids.Length; i++)
        {
            int parent = parents[i] == 0 ? -1 : _index[parents[i]];
            _index.Add(ids[i], _rows.Count);
            _rows.Add(new ViewedRow(ids[i], parent, parent < 0 ? 0 : _rows[parent].Position + 1, _steps.Count - 1));
            _kept.Add(false);
        }

        _entering.AddRange(entering);
        _leaving.AddRange(leaving);
    }

    internal void Keep(ReadOnlySpan<ulong> ids)
    {
        foreach (ulong id in ids)
        {
            _kept[_index[id]] = true;
        }
    }
}
