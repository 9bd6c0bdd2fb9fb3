namespace Cleave.Compute;

/// <summary>Memory made for one tensor alone, its owner: <see cref="TensorData.Release"/> gives it back at once.</summary>
public interface ITensorMemory
{
    /// <summary>Gives it back; more calls change nothing.</summary>
    void Free();
}
