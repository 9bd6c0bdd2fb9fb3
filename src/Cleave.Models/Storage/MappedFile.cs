using System.IO.MemoryMappedFiles;
using Cleave.Compute;

namespace Cleave.Models.Storage;

/// <summary>
/// A file mapped read-only. The mapping lives as long as a tensor that points into it: it is released by the view's own
/// finaliser, never under a reader's feet, so nothing here is disposed by hand. Of a file elsewhere the first bytes may be
/// enough: reading past them throws <see cref="MissingBytesException"/>.
/// </summary>
internal sealed unsafe class MappedFile
{
    // Held for its finaliser only.
    private readonly object _owner;
    private readonly byte* _pointer;
    private readonly long _known;

    private MappedFile(string path, object owner, byte* pointer, long known, long length)
    {
        Path = path;
        _owner = owner;
        _pointer = pointer;
        _known = known;
        Length = length;
    }

    /// <summary>Path as given.</summary>
    public string Path { get; }

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
            HugePages.Advise(pointer + view.PointerOffset, length);
            return new MappedFile(path, view, pointer + view.PointerOffset, length, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new ModelFormatException($"{path}: cannot be opened: {e.Message}", e);
        }
    }

    /// <summary>A file of which the first bytes are known.</summary>
    /// <param name="path">What messages call it.</param>
    /// <param name="prefix">Its first bytes.</param>
    /// <param name="length">Its whole length.</param>
    public static MappedFile OfPrefix(string path, ReadOnlySpan<byte> prefix, long length)
    {
        byte[] pinned = GC.AllocateUninitializedArray<byte>(Math.Max(1, prefix.Length), pinned: true);
        prefix.CopyTo(pinned);
        return new MappedFile(path, pinned, (byte*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref pinned[0]), prefix.Length, length);
    }

    /// <summary>Bytes [offset, offset + length), which the caller has checked to lie in the file.</summary>
    public ReadOnlySpan<byte> Bytes(long offset, int length) => new(At(offset, length), length);

    /// <summary>Address of bytes [offset, offset + length); valid while this object is reachable.</summary>
    /// <exception cref="MissingBytesException">They are not here.</exception>
    public byte* At(long offset, long length)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw new ModelFormatException($"{Path}: bytes {offset}..{offset + length} lie outside the file of {Length} bytes");
        }

        Require(offset + length);
        return _pointer + offset;
    }

    /// <summary>Makes sure that the file is here up to a byte.</summary>
    /// <param name="end">One past the last byte that is needed now.</param>
    /// <param name="floor">Bytes that will certainly be needed after it.</param>
    /// <exception cref="MissingBytesException">It is not.</exception>
    public void Require(long end, long floor = 0)
    {
        if (end > _known)
        {
            throw new MissingBytesException(Path, Math.Min(Length, end + floor));
        }
    }
}
