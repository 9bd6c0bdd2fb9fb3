namespace Cleave.Compute.Gpu;

/// <summary>A device has too little memory; the message says how much was wanted, how much there is, and what would need less.</summary>
public sealed class GpuMemoryException : Exception
{
    public GpuMemoryException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
