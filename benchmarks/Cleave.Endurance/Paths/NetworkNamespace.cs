using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;

namespace Cleave.Endurance.Paths;

/// <summary>A Linux network namespace with one device, whose packets this process carries. What is run in it opens its sockets there. For root.</summary>
internal sealed partial class NetworkNamespace : IDisposable
{
    private const int NewNetwork = 0x40000000;
    private const int ReadWrite = 2;
    private const nuint SetInterface = 0x400454ca;
    private const short TunWithoutHeader = 0x1001;

    private readonly BlockingCollection<Action> _work = [];
    private readonly Thread _thread;
    private readonly int _device;

    /// <param name="own">Address of the device.</param>
    /// <param name="peer">Address at its other end.</param>
    /// <param name="fastOpen">Value of net.ipv4.tcp_fastopen.</param>
    /// <exception cref="InvalidOperationException">Not allowed, or no such device here.</exception>
    public NetworkNamespace(IPAddress own, IPAddress peer, int fastOpen)
    {
        // A namespace is a thread's: its own does everything here that has to be done inside.
        _thread = new Thread(Work) { IsBackground = true, Name = "namespace " + own };
        _thread.Start();
        _device = Run(() =>
        {
            Check(Unshare(NewNetwork), "make a network namespace");
            int device = Check(Open("/dev/net/tun", ReadWrite), "open /dev/net/tun");
            byte[] request = new byte[40];
            Encoding.ASCII.GetBytes("t0", request);
            MemoryMarshal.Write(request.AsSpan(16), TunWithoutHeader);
            Check(IoCtl(device, SetInterface, request), "make a device");
            File.WriteAllText("/proc/sys/net/ipv4/tcp_fastopen", FormattableString.Invariant($"{fastOpen}"));
            Ip($"addr add {own} peer {peer} dev t0");
            Ip("link set t0 up mtu 1500");
            return device;
        });
    }

    /// <summary>Runs something inside.</summary>
    public T Run<T>(Func<T> inside)
    {
        var result = new TaskCompletionSource<T>();
        _work.Add(() =>
        {
            try
            {
                result.SetResult(inside());
            }
            catch (Exception e)
            {
                result.SetException(e);
            }
        });
        return result.Task.GetAwaiter().GetResult();
    }

    /// <summary>The next packet out; its length.</summary>
    public int Read(byte[] packet) => (int)Read(_device, packet, packet.Length);

    /// <summary>A packet in.</summary>
    public void Write(byte[] packet, int length) => _ = Write(_device, packet, length);

    public void Dispose()
    {
        _work.CompleteAdding();
        _thread.Join();
        _ = Close(_device);
        _work.Dispose();
    }

    private void Work()
    {
        foreach (Action action in _work.GetConsumingEnumerable())
        {
            action();
        }
    }

    private static void Ip(string arguments)
    {
        using Process process = Process.Start("ip", arguments);
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"ip {arguments} failed");
        }
    }

    private static int Check(int result, string what) => result >= 0 ? result
        : throw new InvalidOperationException($"Cannot {what}: {Marshal.GetLastPInvokeErrorMessage()}. This measurement is for Linux, and root.");

    [LibraryImport("libc", EntryPoint = "unshare", SetLastError = true)]
    private static partial int Unshare(int flags);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoCtl(int descriptor, nuint request, [In] byte[] argument);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(int descriptor, [Out] byte[] buffer, nint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, [In] byte[] buffer, nint count);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
