namespace Cleave.Compute.Cpu;

/// <summary>Private memory for each worker of a team, grown between jobs and kept.</summary>
internal sealed unsafe class WorkerScratch(CpuDevice device, int workers) : IDisposable
{
    private NativeBuffer? _buffer;
    private long _bytesPerWorker;

    /// <summary>Makes room for so many bytes per worker. Called between jobs.</summary>
    public void Reserve(long bytesPerWorker)
    {
        if (bytesPerWorker <= _bytesPerWorker)
        {
            return;
        }

        Dispose();

        // Whole pages, so that workers share none.
        _bytesPerWorker = (bytesPerWorker + 4095) & ~4095L;
        _buffer = new NativeBuffer(_bytesPerWorker * workers);
        device.Allocated(_buffer.ByteLength);
    }

    /// <summary>A worker's memory, on a 64-byte border.</summary>
    public byte* Of(int worker) => _buffer!.Pointer + (worker * _bytesPerWorker);

    public void Dispose()
    {
        if (_buffer is { } buffer)
        {
            device.Allocated(-buffer.ByteLength);
            buffer.Dispose();
            _buffer = null;
            _bytesPerWorker = 0;
        }
    }
}
