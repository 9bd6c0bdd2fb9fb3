namespace Cleave.Models.Hub;

/// <summary>A lock held by an open file. On Unix .NET takes it with flock, as the hub's other tools do.</summary>
internal sealed class FileLock : IDisposable
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(200);

    private readonly FileStream _stream;

    private FileLock(FileStream stream) => _stream = stream;

    /// <summary>Waits for the lock.</summary>
    public static async Task<IDisposable> TakeAsync(string path, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        while (true)
        {
            try
            {
                return new FileLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 0));
            }
            catch (IOException) when (File.Exists(path))
            {
                // Somebody else's; they may be fetching the very file.
                await Task.Delay(s_pause, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    // The file stays: taking it away would let two holders lock two files of one name.
    public void Dispose() => _stream.Dispose();
}
