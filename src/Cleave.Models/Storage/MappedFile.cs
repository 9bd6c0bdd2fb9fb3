using System.IO.MemoryMappedFiles;

namespace Cleave.Models.Storage;

/// <summary>
/// A file mapped read-only. The mapping lives as long as a tensor that points into it: it is released by the view's own
/// finaliser, never under a reader's feet, so nothing here is disposed by hand.
/// </summary>
internal sealed unsafe class MappedFile
{
    // Held for its finaliser only.
    private readonly MemoryMappedViewAccessor _view;

    private MappedFile(string path, MemoryMappedViewAccessor view, byte* pointer, long length)
    {
        Path = path;
        _view = view;
        Pointer = pointer;
        Length = length;
    }

    /// <summary>Path as given.</summary>
    public string Path { get; }

    /// <summary>First byte; valid while this object is reachable.</summary>
    public byte* Pointer { get; }

    /// <summary>Bytes in the file.</summary>
    public long Length { get; }

    /// <exception cref="ModelFormatException">The file is missing, empty or cannot be read.</exception>
    public static MappedFile Open(string path)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            long length = stream.Length;
            if (length == 0)
            {
                throw new ModelFormatException($"{path}: the file is empty; download or copy it again");
            }

            using MemoryMappedFile map = MemoryMappedFile.CreateFromFile(
                stream, null, length, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            MemoryMappedViewAccessor view = map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
            byte* pointer = null;
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
            // AcquirePointer's reference would keep the handle from ever being released; the view reference does that job.
            view.SafeMemoryMappedViewHandle.ReleasePointer();
            return new MappedFile(path, view, pointer + view.PointerOffset, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new ModelFormatException($"{path}: cannot be opened: {e.Message}", e);
        }
    }

    /// <summary>Bytes [offset, offset + length), which the caller has checked to lie in the file.</summary>
    public ReadOnlySpan<byte> Bytes(long offset, int length)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw new ModelFormatException($"{Path}: bytes {offset}..{offset + length} lie outside the file of {Length} bytes");
        }

        return new ReadOnlySpan<byte>(Pointer + offset, length);
    }
}
