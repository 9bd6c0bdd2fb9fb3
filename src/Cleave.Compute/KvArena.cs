namespace Cleave.Compute;

/// <summary>
/// Device storage for the keys and values of many sessions: for each layer, [slots, keyColumns] keys (after RoPE) and
/// [slots, valueColumns] values. Who owns which slot is the engine's affair (slot tables); the arena never moves data.
/// </summary>
public abstract class KvArena : IDisposable
{
    /// <summary>Layers stored.</summary>
    public abstract int Layers { get; }

    /// <summary>Slots per layer, one token each.</summary>
    public abstract int Slots { get; }

    /// <summary>Key (and value) floats per slot and layer: kvHeads * headDim.</summary>
    public abstract int Columns { get; }

    /// <summary>Storage type of keys and values.</summary>
    public abstract ElementType Type { get; }

    /// <summary>Bytes one slot takes over all layers, keys and values together.</summary>
    public long BytesPerSlot => 2L * Layers * Type.RowBytes(Columns);

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the device memory.</summary>
    protected abstract void Dispose(bool disposing);
}
