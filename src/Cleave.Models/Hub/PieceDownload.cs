using System.Net;
using System.Threading.Channels;

namespace Cleave.Models.Hub;

/// <summary>
/// Makes a file of pieces. Segments are fetched several at a time and written in order, so that what is on disk is always a
/// whole prefix of the file: the length alone says where to go on after an interruption, here and in other tools of the hub.
/// <list type="number">
/// <item>the prefix that is there already;</item>
/// <item>segments of the rest, as many at once as there are slots;</item>
/// <item>each written when its turn comes.</item>
/// </list>
/// </summary>
/// <param name="client">The hub.</param>
/// <param name="slots">Segments at once, all downloads that share it together.</param>
internal sealed class PieceDownload(HubClient client, SemaphoreSlim slots)
{
    /// <summary>Bytes of one request; with the slots it bounds the memory a pull takes.</summary>
    public required int SegmentBytes { get; init; }

    private const int MaxTries = 5;

    // A server that is silent for this long is gone.
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(60);

    /// <summary>Delay before the second try; doubled before each further one.</summary>
    public required TimeSpan FirstDelay { get; init; }

    /// <summary>Appends to <paramref name="path"/> what it lacks of the pieces.</summary>
    /// <param name="path">The unfinished file.</param>
    /// <param name="pieces">What the whole file is.</param>
    /// <param name="checksum">Told all bytes in order, those on disk already too; or null.</param>
    /// <param name="grown">Told how many bytes have been added or found.</param>
    /// <param name="cancellationToken">Stops; what was written stays for the next time.</param>
    /// <exception cref="HubException">The hub refuses, or the disk is full.</exception>
    /// <exception cref="HttpRequestException">The network failed several times in a row.</exception>
    public async Task RunAsync(string path, IReadOnlyList<Piece> pieces, BlobChecksum? checksum, Action<long> grown, CancellationToken cancellationToken)
    {
        await using FileStream stream = new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0, FileOptions.Asynchronous);

        // 1. What is there. More than there should be is not ours.
        if (stream.Length > pieces.Sum(static piece => piece.Length))
        {
            stream.SetLength(0);
        }

        await ReadPrefixAsync(stream, checksum, cancellationToken).ConfigureAwait(false);
        grown(stream.Length);
        try
        {
            await FetchInOrderAsync(stream, Segments(pieces, stream.Length), checksum, grown, cancellationToken).ConfigureAwait(false);
        }
        catch (RangeIgnoredException) when (pieces is [Piece.Remote { Offset: 0 } whole] && whole.Length == whole.File.Size)
        {
            await FetchWholeAsync(stream, whole.File, checksum, grown, cancellationToken).ConfigureAwait(false);
        }
        catch (RangeIgnoredException e)
        {
            throw new HubException($"{e.Message}; without byte ranges a part of a file cannot be fetched", e);
        }

        await stream.FlushAsync(cancellationToken).ConfigureAwait(false);
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Bytes of a remote file, for headers.</summary>
    public async Task<byte[]> ReadAsync(RemoteFile file, long offset, int length, CancellationToken cancellationToken)
    {
        try
        {
            return await FetchAsync(new Piece.Remote(file, offset, length), cancellationToken).ConfigureAwait(false);
        }
        catch (RangeIgnoredException e)
        {
            throw new HubException($"{e.Message}; without byte ranges a part of a file cannot be fetched", e);
        }
    }

    private static async Task ReadPrefixAsync(FileStream stream, BlobChecksum? checksum, CancellationToken cancellationToken)
    {
        if (checksum is not null)
        {
            byte[] buffer = new byte[1 << 20];
            int read;
            while ((read = await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
            {
                checksum.Append(buffer.AsSpan(0, read));
            }
        }

        stream.Position = stream.Length;
    }

    /// <summary>The pieces from a position on, in parts of at most a segment.</summary>
    private IEnumerable<Piece> Segments(IReadOnlyList<Piece> pieces, long from)
    {
        long start = 0;
        foreach (Piece piece in pieces)
        {
            for (long at = Math.Max(0, from - start); at < piece.Length; at += SegmentBytes)
            {
                int length = (int)Math.Min(SegmentBytes, piece.Length - at);
                yield return piece switch
                {
                    Piece.Remote remote => new Piece.Remote(remote.File, remote.Offset + at, length),
                    Piece.Known known => new Piece.Known(known.Bytes.Slice((int)at, length)),
                    _ => throw new InvalidOperationException("a piece of no known kind"),
                };
            }

            start += piece.Length;
        }
    }

    private async Task FetchInOrderAsync(FileStream stream, IEnumerable<Piece> segments, BlobChecksum? checksum, Action<long> grown, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var turns = Channel.CreateUnbounded<Task<ReadOnlyMemory<byte>>>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });

        // 2. The first unwritten segment always holds a slot, for slots are taken in the order of the file: no two files can wait for each other.
        Task producing = Task.Run(
            async () =>
            {
                try
                {
                    foreach (Piece segment in segments)
                    {
                        await slots.WaitAsync(stop.Token).ConfigureAwait(false);
                        turns.Writer.TryWrite(BytesAsync(segment, stop.Token));
                    }
                }
                finally
                {
                    turns.Writer.TryComplete();
                }
            },
            CancellationToken.None);
        try
        {
            // 3. In order.
            await foreach (Task<ReadOnlyMemory<byte>> turn in turns.Reader.ReadAllAsync(CancellationToken.None).ConfigureAwait(false))
            {
                try
                {
                    ReadOnlyMemory<byte> bytes = await turn.ConfigureAwait(false);
                    await WriteAsync(stream, bytes, stop.Token).ConfigureAwait(false);
                    checksum?.Append(bytes.Span);
                    grown(bytes.Length);
                }
                finally
                {
                    slots.Release();
                }
            }
        }
        catch
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await producing.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).ConfigureAwait(false);
            while (turns.Reader.TryRead(out Task<ReadOnlyMemory<byte>>? rest))
            {
                await rest.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).ConfigureAwait(false);
                slots.Release();
            }

            throw;
        }

        await producing.ConfigureAwait(false);
    }

    /// <summary>From a server without ranges: one stream, of which the part that is here is thrown away.</summary>
    private async Task FetchWholeAsync(FileStream stream, RemoteFile file, BlobChecksum? checksum, Action<long> grown, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await client.OpenAsync(file, 0, null, cancellationToken).ConfigureAwait(false);
        using Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        byte[] buffer = new byte[1 << 20];
        long at = 0;
        int read;
        while ((read = await ReadSomeAsync(body, buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            int skip = (int)Math.Clamp(stream.Length - at, 0, read);
            at += read;
            if (at > file.Size)
            {
                throw new HubException($"{file.Path}: {file.Location.Host} sends more than the {file.Size} bytes the hub states");
            }

            await WriteAsync(stream, buffer.AsMemory(skip, read - skip), cancellationToken).ConfigureAwait(false);
            checksum?.Append(buffer.AsSpan(skip, read - skip));
            grown(read - skip);
        }

        if (at < file.Size)
        {
            throw new HttpRequestException($"{file.Location.Host} ended the connection after {at} of {file.Size} bytes of {file.Path}");
        }
    }

    private async Task<ReadOnlyMemory<byte>> BytesAsync(Piece segment, CancellationToken cancellationToken) =>
        segment is Piece.Known known ? known.Bytes : await FetchAsync((Piece.Remote)segment, cancellationToken).ConfigureAwait(false);

    private async Task<byte[]> FetchAsync(Piece.Remote segment, CancellationToken cancellationToken)
    {
        byte[] bytes = new byte[segment.Length];
        int have = 0;
        for (int tries = 1; have < bytes.Length; tries++)
        {
            try
            {
                using HttpResponseMessage response = await client.OpenAsync(segment.File, segment.Offset + have, bytes.Length - have, cancellationToken).ConfigureAwait(false);
                CheckRange(segment, have, response);
                using Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
                int read;
                while (have < bytes.Length && (read = await ReadSomeAsync(body, bytes.AsMemory(have), cancellationToken).ConfigureAwait(false)) > 0)
                {
                    have += read;
                }

                if (have < bytes.Length && tries >= MaxTries)
                {
                    throw new HttpRequestException($"{segment.File.Location.Host} ended the connection early {tries} times, at byte {segment.Offset + have} of {segment.File.Path}");
                }
            }
            catch (Exception e) when (e is HttpRequestException or IOException && tries < MaxTries)
            {
                await Task.Delay(FirstDelay * (1 << (tries - 1)), cancellationToken).ConfigureAwait(false);
            }
        }

        return bytes;
    }

    private static async Task<int> ReadSomeAsync(Stream body, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        silence.CancelAfter(s_silence);
        try
        {
            return await body.ReadAsync(buffer, silence.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"nothing came for {s_silence.TotalSeconds:F0} s", e);
        }
    }

    private static void CheckRange(Piece.Remote segment, int have, HttpResponseMessage response)
    {
        if (response.StatusCode == HttpStatusCode.OK)
        {
            // All of a file is what was asked for, too, when that is all there is to it.
            if (segment.Offset + have == 0 && segment.Length == segment.File.Size)
            {
                return;
            }

            throw new RangeIgnoredException($"{segment.File.Location.Host} ignores byte ranges ({segment.File.Path})");
        }

        if (response.Content.Headers.ContentRange is not { } range || range.From != segment.Offset + have
            || range.To != segment.Offset + segment.Length - 1 || (range.HasLength && range.Length != segment.File.Size))
        {
            throw new HubException(
                $"{segment.File.Path}: {segment.File.Location.Host} answers with bytes '{response.Content.Headers.ContentRange}' of a file of {segment.File.Size} where {segment.Offset + have}-{segment.Offset + segment.Length - 1} were asked for");
        }
    }

    private static async Task WriteAsync(FileStream stream, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        long start = stream.Position;
        try
        {
            await stream.WriteAsync(bytes, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            // Half a segment would do no harm, but a disk that is full gives no promise about it either.
            stream.SetLength(start);
            throw new HubException($"{stream.Name}: cannot be written: {e.Message}; free some space and pull again: the {start} bytes that are here are kept", e);
        }
    }

    private sealed class RangeIgnoredException(string message) : Exception(message);
}
