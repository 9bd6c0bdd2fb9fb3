using System.Numerics;
using System.Runtime.InteropServices;
using SharpFuzz.Common;

namespace Cleave.Endurance.Fuzz;

/// <summary>
/// Which branches an input took, how often (in powers of two): the map that instrumented assemblies write to, and what all
/// inputs so far have reached.
/// </summary>
internal sealed unsafe class CoverageMap : IDisposable
{
    private const int Bytes = 1 << 16;
    private readonly byte* _map = (byte*)NativeMemory.AllocZeroed(Bytes);
    private readonly byte[] _seen = new byte[Bytes];

    public CoverageMap() => Trace.SharedMem = _map;

    /// <summary>Branches reached so far.</summary>
    public int Edges => _seen.Count(static buckets => buckets != 0);

    /// <summary>Before an input.</summary>
    public void Clear()
    {
        new Span<byte>(_map, Bytes).Clear();
        Trace.PrevLocation = 0;
    }

    /// <summary>After it: true when it went where none had been, or as often as none had.</summary>
    public bool TakeNew()
    {
        bool any = false;
        for (int at = 0; at < Bytes; at += sizeof(ulong))
        {
            if (*(ulong*)(_map + at) == 0)
            {
                continue;
            }

            for (int i = at; i < at + sizeof(ulong); i++)
            {
                byte bucket = _map[i] == 0 ? (byte)0 : (byte)(1 << BitOperations.Log2(_map[i]));
                any |= (bucket & ~_seen[i]) != 0;
                _seen[i] |= bucket;
            }
        }

        return any;
    }

    /// <summary>Forgets what was reached.</summary>
    public void Forget() => Array.Clear(_seen);

    public void Dispose()
    {
        // Threads of a target may still run instrumented code: they get a map that nobody frees.
        Trace.SharedMem = (byte*)NativeMemory.AllocZeroed(Bytes);
        NativeMemory.Free(_map);
    }
}
