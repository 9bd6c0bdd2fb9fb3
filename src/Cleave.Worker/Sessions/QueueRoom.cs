namespace Cleave.Worker.Sessions;

/// <summary>Rows of a session that wait for the compute loop. A client that sends faster than it is served is slowed down, not refused.</summary>
/// <param name="mostRows">Rows that may wait; one step always may.</param>
internal sealed class QueueRoom(int mostRows)
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _freed;
    private int _rows;

    /// <summary>Waits until the queue can take a step of this many rows.</summary>
    public async ValueTask WaitAsync(int rows, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task freed;
            lock (_lock)
            {
                if (_rows == 0 || _rows + rows <= mostRows)
                {
                    return;
                }

                _freed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                freed = _freed.Task;
            }

            await freed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Rows entered the queue.</summary>
    public void Add(int rows)
    {
        lock (_lock)
        {
            _rows += rows;
        }
    }

    /// <summary>Rows left it.</summary>
    public void Remove(int rows)
    {
        lock (_lock)
        {
            _rows -= rows;
            _freed?.TrySetResult();
            _freed = null;
        }
    }
}
