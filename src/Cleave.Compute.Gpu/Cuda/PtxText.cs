using System.Globalization;
using System.Text;

namespace Cleave.Compute.Gpu.Cuda;

/// <summary>Assembles the text of a PTX module: C# loops unroll, names stay readable.</summary>
internal sealed class PtxText
{
    private readonly StringBuilder _text = new();
    private int _labels;

    /// <param name="target">"sm_90" runs on 9.0 and everything later, "sm_90a" on 9.0 alone and has warpgroup instructions.</param>
    public PtxText(string target = "sm_90") =>
        _text.Append(CultureInfo.InvariantCulture, $".version 8.0\n.target {target}\n.address_size 64\n.extern .shared .align 128 .b8 dynamic[];\n");

    /// <summary>Appends lines as they are.</summary>
    public void Add(string lines) => _text.Append(lines).Append('\n');

    /// <summary>A label name not used before.</summary>
    public string Label(string stem) => string.Create(CultureInfo.InvariantCulture, $"{stem}_{_labels++}");

    /// <summary>"{a0,a1,...}" of <paramref name="count"/> registers from <paramref name="first"/> on.</summary>
    public static string Vector(string stem, int first, int count) =>
        "{" + string.Join(",", Enumerable.Range(first, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"{stem}{i}"))) + "}";

    /// <summary>Waits until the barrier at <paramref name="address"/> has passed the phase of <paramref name="parity"/>.</summary>
    public void WaitBarrier(string address, string parity)
    {
        string label = Label("WAIT");
        Add($"{label}: mbarrier.try_wait.parity.shared::cta.b64 pw, [{address}], {parity}; @!pw bra {label};");
    }

    public override string ToString() => _text.ToString();
}
