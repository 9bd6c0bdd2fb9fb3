namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// Loads of weight fragments from shared memory, decoded in registers. The result is eight registers of two numbers each: the A operands of
/// two consecutive mma.m16n8k16. Quantised numbers are decoded exactly in binary16 and scaled there, one rounding.
/// </summary>
internal static class TensorCoreFragments
{
    /// <summary>The mma of this weight type.</summary>
    public static string Mma(ElementType type) => type == ElementType.BF16
        ? "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
        : "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32";

    /// <summary>Registers the decoders need.</summary>
    public const string Registers = ".reg .b32 fu<4>; .reg .b16 fh<2>; .reg .b32 fd<2>; .reg .b32 fm<2>;\n";

    /// <summary>
    /// Fragments of a band's step at <paramref name="offset"/> bytes past the base: <paramref name="lane16"/> = base + 16·lane,
    /// <paramref name="lane8"/> = base + 8·lane, <paramref name="row"/> = base + 2·(lane/4).
    /// </summary>
    public static void Load(PtxText ptx, ElementType type, string lane16, string lane8, string row, int offset, string target, int first)
    {
        switch (type)
        {
            case ElementType.BF16:
            case ElementType.F16:
                ptx.Add($"ld.shared.v4.b32 {PtxText.Vector(target, first, 4)}, [{lane16}+{offset}];");
                ptx.Add($"ld.shared.v4.b32 {PtxText.Vector(target, first + 4, 4)}, [{lane16}+{offset + 512}];");
                break;
            case ElementType.Q8_0:
                ptx.Add($"ld.shared.v4.b32 {{fu0,fu1,fu2,fu3}}, [{lane16}+{offset}];");
                ptx.Add($"ld.shared.b16 fh0, [{row}+{offset + 512}]; ld.shared.b16 fh1, [{row}+{offset + 528}];");
                ptx.Add("mov.b32 fd0, {fh0,fh0}; mov.b32 fd1, {fh1,fh1};");
                for (int word = 0; word < 4; word++)
                {
                    int a = first + (2 * word);
                    ptx.Add($"xor.b32 fu{word}, fu{word}, 0x80808080;");

                    // A byte b under 0x64 is the binary16 number 1024 + b.
                    ptx.Add($"prmt.b32 {target}{a}, fu{word}, 0x64646464, 0x4140; prmt.b32 {target}{a + 1}, fu{word}, 0x64646464, 0x4342;");
                    ptx.Add($"sub.rn.f16x2 {target}{a}, {target}{a}, fbias; sub.rn.f16x2 {target}{a + 1}, {target}{a + 1}, fbias;");
                    ptx.Add($"mul.rn.f16x2 {target}{a}, {target}{a}, fd0; mul.rn.f16x2 {target}{a + 1}, {target}{a + 1}, fd1;");
                }

                break;
            case ElementType.Q4_K:
                ptx.Add($"ld.shared.v2.b32 {{fu0,fu1}}, [{lane8}+{offset}];");
                ptx.Add($"ld.shared.b32 fu2, [{row}2+{offset + 256}]; ld.shared.b32 fu3, [{row}2+{offset + 288}];");
                ptx.Add("prmt.b32 fd0, fu2, fu2, 0x1010; prmt.b32 fm0, fu2, fu2, 0x3232; prmt.b32 fd1, fu3, fu3, 0x1010; prmt.b32 fm1, fu3, fu3, 0x3232;");
                for (int i = 0; i < 8; i++)
                {
                    string a = $"{target}{first + i}";
                    ptx.Add($"shr.u32 {a}, fu{i / 4}, {4 * (i % 4)}; lop3.b32 {a}, {a}, 0x000F000F, 0x64006400, 0xEA;");
                    ptx.Add($"sub.rn.f16x2 {a}, {a}, fbias; fma.rn.f16x2 {a}, {a}, fd{i % 2}, fm{i % 2};");
                }

                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(type), type, "not packed");
        }
    }

    /// <summary>Declares and sets what <see cref="Load"/> subtracts.</summary>
    public static void Prepare(PtxText ptx, ElementType type)
    {
        ptx.Add(Registers + ".reg .b32 fbias;");
        ptx.Add($"mov.b32 fbias, {(type == ElementType.Q8_0 ? "0x64806480" : "0x64006400")};");
    }
}
