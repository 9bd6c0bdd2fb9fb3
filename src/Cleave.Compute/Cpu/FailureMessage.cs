using System.Runtime.CompilerServices;

namespace Cleave.Compute.Cpu;

/// <summary>An interpolated message that is built only when its condition is false, so that checks allocate nothing.</summary>
[InterpolatedStringHandler]
internal ref struct FailureMessage
{
    private DefaultInterpolatedStringHandler _handler;

    public FailureMessage(int literalLength, int formattedCount, bool condition, out bool shouldAppend)
    {
        shouldAppend = !condition;
        _handler = condition ? default : new DefaultInterpolatedStringHandler(literalLength, formattedCount);
    }

    public void AppendLiteral(string value) => _handler.AppendLiteral(value);

    public void AppendFormatted<T>(T value) => _handler.AppendFormatted(value);

    public string ToStringAndClear() => _handler.ToStringAndClear();
}
