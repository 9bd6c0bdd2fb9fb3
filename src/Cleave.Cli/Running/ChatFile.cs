using System.Globalization;
using System.Text.Json;
using Cleave.Cli.Reports;

namespace Cleave.Cli.Running;

/// <summary>
/// Keeps a conversation on disk so that a chat whose process was killed can go on. Every change is written whole to a
/// second file, flushed to the disk and renamed over the first: at any moment there is one complete conversation there.
/// Files and folder are their owner's alone, and one process at a time holds a conversation.
/// </summary>
internal sealed class ChatFile : IDisposable
{
    private const string Extension = ".chat.json";
    private const int MaxBytes = 64 << 20;
    private readonly FileStream _lock;

    private ChatFile(string path, FileStream held, StoredChat? stored)
    {
        Path = path;
        _lock = held;
        Stored = stored;
    }

    /// <summary>Where it lies.</summary>
    public string Path { get; }

    /// <summary>What was there when it was opened; null for a new conversation.</summary>
    public StoredChat? Stored { get; }

    /// <summary>
    /// Folder of conversations: <c>$XDG_STATE_HOME/cleave/chats</c>, which is <c>~/.local/state/cleave/chats</c> unless set; on Windows
    /// under the local application data.
    /// </summary>
    public static string DefaultFolder()
    {
        string? state = Environment.GetEnvironmentVariable("XDG_STATE_HOME");
        if (string.IsNullOrEmpty(state) || !System.IO.Path.IsPathFullyQualified(state))
        {
            state = OperatingSystem.IsWindows()
                ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                : System.IO.Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "state");
        }

        return System.IO.Path.Combine(state, "cleave", "chats");
    }

    /// <summary>A new conversation in <paramref name="folder"/>. Nothing but a lock is written until something is said.</summary>
    /// <exception cref="CliException">The folder cannot be written to.</exception>
    public static ChatFile Create(string folder)
    {
        PrepareFolder(folder);
        string name = string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyyMMdd-HHmmss-fff}-{Environment.ProcessId}{Extension}");
        string path = System.IO.Path.Combine(folder, name);
        return new ChatFile(path, Hold(path) ?? throw InUse(path), null);
    }

    /// <summary>The conversation in <paramref name="folder"/> that was written last and that no other process holds.</summary>
    /// <exception cref="CliException">There is none, or it cannot be read.</exception>
    public static ChatFile OpenLatest(string folder)
    {
        FileInfo[] files = Directory.Exists(folder)
            ? [.. new DirectoryInfo(folder).EnumerateFiles("*" + Extension).OrderByDescending(static file => file.LastWriteTimeUtc)]
            : [];
        foreach (FileInfo file in files)
        {
            if (Hold(file.FullName) is { } held)
            {
                return Open(file.FullName, held);
            }
        }

        throw new CliException(
            files.Length == 0 ? $"there is no conversation in {folder} to continue" : $"every conversation in {folder} is open in another process",
            "start one without --continue");
    }

    /// <summary>Replaces what is on disk; returns once it is there. A conversation without a message leaves no file.</summary>
    /// <exception cref="CliException">It cannot be written.</exception>
    public void Save(StoredChat chat)
    {
        try
        {
            if (!chat.Turns.Any(static turn => turn.Role == "user"))
            {
                File.Delete(Path);
                return;
            }

            string next = Path + ".next";
            using (FileStream stream = OpenPrivate(next, FileMode.Create))
            {
                JsonSerializer.Serialize(stream, chat, ReportJson.Output.StoredChat);
                stream.Flush(flushToDisk: true);
            }

            File.Move(next, Path, overwrite: true);
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            throw new CliException($"the conversation could not be written to {Path}: {problem.Message}", "free some space there, or talk without a file: --no-save");
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        // Removed while still held: whoever opens it from now on makes a new one.
        try
        {
            File.Delete(LockOf(Path));
            File.Delete(Path + ".next");
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            // An empty file stays behind.
        }

        _lock.Dispose();
    }

    private static ChatFile Open(string path, FileStream held)
    {
        try
        {
            if (new FileInfo(path).Length > MaxBytes)
            {
                throw new CliException($"{path} is larger than {MaxBytes >> 20} MiB: that is no conversation of this program");
            }

            using FileStream stream = File.OpenRead(path);
            StoredChat? chat = JsonSerializer.Deserialize(stream, ReportJson.Output.StoredChat);
            if (chat is { Version: > StoredChat.CurrentVersion })
            {
                throw new CliException($"{path} was written in format {chat.Version}, this program reads up to {StoredChat.CurrentVersion}", "continue it with the newer program");
            }

            return chat is { Model: not null, Turns: not null } && chat.Turns.All(static turn => turn is { Role: "system" or "user" or "assistant", Text: not null })
                ? new ChatFile(path, held, chat)
                : throw new CliException($"{path} holds no conversation", "remove it, or start a new one without --continue");
        }
        catch (Exception problem) when (problem is JsonException or IOException or UnauthorizedAccessException)
        {
            held.Dispose();
            throw new CliException($"the conversation in {path} cannot be read: {problem.Message}", "remove it, or start a new one without --continue");
        }
        catch (CliException)
        {
            held.Dispose();
            throw;
        }
    }

    private static void PrepareFolder(string folder)
    {
        try
        {
            if (OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(folder);
            }
            else
            {
                Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }
        catch (Exception problem) when (problem is IOException or UnauthorizedAccessException)
        {
            throw new CliException($"conversations are kept in {folder}, which cannot be made: {problem.Message}", "set XDG_STATE_HOME to a folder of yours, or talk without a file: --no-save");
        }
    }

    /// <summary>The right to a conversation, or null when another process has it. The system takes it back however a process ends.</summary>
    private static FileStream? Hold(string path)
    {
        try
        {
            return OpenPrivate(LockOf(path), FileMode.OpenOrCreate);
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException problem)
        {
            throw new CliException($"{path} cannot be opened: {problem.Message}", "talk without a file: --no-save");
        }
    }

    private static FileStream OpenPrivate(string path, FileMode mode)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.Write, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return new FileStream(path, options);
    }

    private static string LockOf(string path) => path + ".lock";

    private static CliException InUse(string path) => new($"{path} is held by another process");
}
