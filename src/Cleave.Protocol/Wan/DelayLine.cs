using System.Buffers;
using System.Diagnostics;
using System.Net.Sockets;

namespace Cleave.Protocol.Wan;

/// <summary>
/// One direction of one connection. A thread reads and stamps what it read with the time at which it is due; another
/// writes it when that time has come. Bytes under way overlap, so a stream is delayed once and not once per message.
/// Blocking sockets and own threads: an asynchronous read is stamped only when the thread pool gets to it.
/// </summary>
internal sealed class DelayLine
{
    private const int ReadBytes = 64 << 10;

    // Coarse waits can be interrupted; only the last stretch is slept through.
    private const int FineWaitMs = 3;

    private readonly object _gate = new();
    private readonly Queue<Chunk> _queue = new();
    private readonly Socket _from;
    private readonly Socket _to;
    private readonly WanDirection _direction;
    private readonly Action<bool> _ended;
    private readonly long _earliest;
    private readonly int _earlyBytes;
    private long _lastDue;
    private long _bytesDelivered;
    private int _queuedBytes;
    private bool _stopped;

    /// <param name="from">Read until its end.</param>
    /// <param name="to">Written; its sending half is shut when <paramref name="from"/> ended.</param>
    /// <param name="direction">The link.</param>
    /// <param name="earliest">Nothing is delivered before this timestamp: the connection is still being made.</param>
    /// <param name="earlyBytes">But so many of the first bytes, if they are there at once.</param>
    /// <param name="ended">Called once from the writing thread: true when the stream ended in order, false when it broke.</param>
    public DelayLine(Socket from, Socket to, WanDirection direction, long earliest, int earlyBytes, Action<bool> ended)
    {
        _from = from;
        _to = to;
        _direction = direction;
        _earliest = earliest;
        _earlyBytes = earlyBytes;
        _ended = ended;
    }

    /// <summary>Bytes that came out at the other end.</summary>
    public long BytesDelivered => Volatile.Read(ref _bytesDelivered);

    /// <summary>Starts both threads.</summary>
    public void Start(string name)
    {
        new Thread(Read, 256 << 10) { IsBackground = true, Name = name + " in" }.Start();
        new Thread(Write, 256 << 10) { IsBackground = true, Name = name + " out" }.Start();
    }

    /// <summary>Drops what is under way and ends both threads (the reader once its socket is closed).</summary>
    public void Stop()
    {
        lock (_gate)
        {
            _stopped = true;
            Monitor.PulseAll(_gate);
        }
    }

    private void Read()
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(ReadBytes);
        int early = _earlyBytes;
        try
        {
            while (true)
            {
                int count;
                bool broke = false;
                try
                {
                    count = _from.Receive(early > 0 ? buffer.AsSpan(0, early) : buffer);
                }
                catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
                {
                    (count, broke) = (0, true);
                }

                long due = _direction.Schedule(Stopwatch.GetTimestamp(), count);
                if (early == 0 || count == 0)
                {
                    due = Math.Max(due, _earliest);
                }

                early = 0;
                byte[] data = count == 0 ? [] : ArrayPool<byte>.Shared.Rent(count);
                buffer.AsSpan(0, count).CopyTo(data);
                lock (_gate)
                {
                    // Order is kept whatever the jitter.
                    _lastDue = Math.Max(_lastDue, due);
                    _queue.Enqueue(new Chunk(data, count, _lastDue, broke));
                    _queuedBytes += count;
                    Monitor.PulseAll(_gate);
                    while (_queuedBytes >= _direction.CapacityBytes && !_stopped)
                    {
                        Monitor.Wait(_gate);
                    }

                    if (count == 0 || _stopped)
                    {
                        return;
                    }
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void Write()
    {
        PreciseWait.PrepareThread();
        bool inOrder = false;
        try
        {
            while (TakeWhenDue() is { } chunk)
            {
                if (chunk.Count == 0)
                {
                    if (!chunk.Broke)
                    {
                        _to.Shutdown(SocketShutdown.Send);
                        inOrder = true;
                    }

                    return;
                }

                for (int sent = 0; sent < chunk.Count;)
                {
                    sent += _to.Send(chunk.Data.AsSpan(sent, chunk.Count - sent));
                }

                ArrayPool<byte>.Shared.Return(chunk.Data);
                Volatile.Write(ref _bytesDelivered, _bytesDelivered + chunk.Count);
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            // The receiving end is gone: the connection is torn down below.
        }
        finally
        {
            _ended(inOrder);
        }
    }

    // The next chunk once its time has come; null when stopped.
    private Chunk? TakeWhenDue()
    {
        Chunk chunk;
        lock (_gate)
        {
            while (true)
            {
                if (_stopped)
                {
                    return null;
                }

                if (_queue.TryPeek(out chunk))
                {
                    long due = Math.Max(chunk.Due, _direction.StalledUntil);
                    int leftMs = (int)Math.Min(1000, Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due).TotalMilliseconds);
                    if (leftMs <= FineWaitMs)
                    {
                        break;
                    }

                    Monitor.Wait(_gate, leftMs - FineWaitMs + 1);
                }
                else
                {
                    Monitor.Wait(_gate);
                }
            }

            _queue.Dequeue();
            _queuedBytes -= chunk.Count;
            Monitor.PulseAll(_gate);
        }

        PreciseWait.Until(Math.Max(chunk.Due, _direction.StalledUntil));
        return chunk;
    }

    // Count 0 is the end of the stream; Broke says it was no orderly one.
    private readonly record struct Chunk(byte[] Data, int Count, long Due, bool Broke);
}
