namespace Cleave.Compute.Gpu;

/// <summary>A device has too little memory; the message says how much was wanted, how much there is, and what would need less.</summary>
public sealed class GpuMemoryException : Exception
{
    /// <param name="message">How much was wanted, how much there is, and what would need less.</param>
    /// <param name="inner">What the driver said, or null.</param>
    public GpuMemoryException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
