namespace Cleave.Compute.Gpu;

/// <summary>A device that was asked for cannot be used; the message says why and what there is.</summary>
public sealed class DeviceUnavailableException : Exception
{
    public DeviceUnavailableException(string message)
        : base(message)
    {
    }

    public DeviceUnavailableException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
