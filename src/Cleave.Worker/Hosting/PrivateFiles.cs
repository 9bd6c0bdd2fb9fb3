namespace Cleave.Worker.Hosting;

/// <summary>Files that only their owner may read, replaced whole or not at all.</summary>
internal static class PrivateFiles
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Makes a directory (0700) when missing and returns its path.</summary>
    public static string EnsureDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, OwnerOnly | UnixFileMode.UserExecute);
        }

        return path;
    }

    /// <summary>Writes beside the target with mode 0600 from the first byte, then renames.</summary>
    public static void Write(string path, ReadOnlySpan<byte> content)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = OwnerOnly;
        }

        try
        {
            using (var stream = new FileStream(temporary, options))
            {
                stream.Write(content);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Null, or why a secret should not be read from this file.</summary>
    public static string? ExposureProblem(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return null;
        }

        UnixFileMode exposed = File.GetUnixFileMode(path) & ~(OwnerOnly | UnixFileMode.UserExecute);
        return exposed == UnixFileMode.None ? null : $"{path} can be used by others than its owner ({exposed}): run chmod 600 on it, or remove it for a new key (every pairing link is then void).";
    }
}
