namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// The root-mean-square norm of a row by 512 threads, as text that the norm's own kernel and the products that begin with a norm share: a
/// number's bits do not depend on which of them made it. A thread has eight neighbouring columns, and eight more 4096 further on in wide
/// rows; sums go by thread, by warp (butterfly) and over the warps in order. What is packed for the tensor cores is one 16-byte store.
/// </summary>
internal static class RowNorm
{
    public const int Threads = 512;

    /// <summary>Columns a thread takes at once.</summary>
    public const int Run = 8;

    /// <summary>Shared memory that <see cref="Normalise"/> needs.</summary>
    public const int SumBytes = 4 * Threads / 32;

    private const int MostPasses = 2;

    /// <summary>Parameters that every kernel with a norm takes.</summary>
    public const string Parameters = """
        .param .u64 pNormX, .param .u64 pNormW, .param .u64 pNormY, .param .u32 pNormXStride, .param .u32 pNormYStride, .param .u32 pNormWidth, .param .f32 pNormEpsilon
        """;

    /// <summary>True when rows of this width are normed here, however many there are and wherever they lie.</summary>
    public static bool Takes(int width, int groups) => groups == 1 && width % Run == 0 && width <= MostPasses * Run * Threads;

    /// <summary>Runs of columns a thread has.</summary>
    public static int Passes(int width) => ((width / Run) + Threads - 1) / Threads;

    public static string Name(int passes, bool half, bool aligned) => $"norm_{passes}_{(half ? "f16" : "bf16")}{(aligned ? "" : "_apart")}";

    /// <summary>The kernel by itself: a block a row, with <see cref="SumBytes"/> of dynamic shared memory.</summary>
    /// <param name="ptx">Receives the kernel.</param>
    /// <param name="passes">Runs of columns a thread has.</param>
    /// <param name="half">Packs binary16, not bfloat16.</param>
    /// <param name="aligned">Rows and weights start at multiples of 16 bytes.</param>
    public static void Emit(PtxText ptx, int passes, bool half, bool aligned)
    {
        ptx.Add($$"""
            .visible .entry {{Name(passes, half, aligned)}}({{Parameters}}, .param .u64 pPacked, .param .u32 pTileRows, .param .u32 pColumns)
            .maxntid {{Threads}}, 1, 1
            {
            .reg .b32 row, tile, inTile, places; .reg .b64 packed, at, d0, d1; .reg .pred packs;
            griddepcontrol.launch_dependents;
            """);
        Declare(ptx, passes);
        ptx.Add("""
            mov.u32 row, %ctaid.x; mov.u32 nSums, dynamic;
            ld.param.u64 packed, [pPacked]; setp.ne.u64 packs, packed, 0; ld.param.u32 tile, [pTileRows]; ld.param.u32 places, [pColumns];
            rem.u32 inTile, row, tile; sub.u32 nAt, row, inTile; mul.wide.u32 d0, nAt, places; shl.b64 d0, d0, 1; add.u64 packed, packed, d0;
            """);
        Prepare(ptx, passes, aligned);
        ptx.Add("griddepcontrol.wait;");
        Normalise(ptx, passes, "row", aligned, "bar.sync 0;");
        StoreRow(ptx, passes, "row", aligned, "nIn");
        for (int pass = 0; pass < passes; pass++)
        {
            // Packed rows: tile of T rows, in it [columns/8, T, 8].
            Pack(ptx, pass, half);
            ptx.Add($"and.pred nIn{pass}, nIn{pass}, packs; mad.lo.u32 nAt, nRun{pass}, tile, inTile; mul.wide.u32 d1, nAt, 16; add.u64 at, packed, d1; @nIn{pass} st.global.v4.b32 [at], {{nb0,nb1,nb2,nb3}};");
        }

        ptx.Add("ret;\n}");
    }

    /// <summary>Declares what the other members use. nSums is the caller's to set: the shared address of <see cref="SumBytes"/> bytes.</summary>
    public static void Declare(PtxText ptx, int passes) => ptx.Add($$"""
        .reg .pred nIn<{{passes}}>, nLane0; .reg .b32 nT, nAt, nWidth, nSums, nRun<{{passes}}>, nb<4>; .reg .b64 nX, nW, nY, nd0;
        .reg .f32 nv<{{Run * passes}}>, nw<{{Run * passes}}>, nSum, nf<4>;
        """);

    /// <summary>What may be read before the kernel ahead has ended: the weights.</summary>
    public static void Prepare(PtxText ptx, int passes, bool aligned)
    {
        ptx.Add("""
            mov.u32 nT, %tid.x; and.b32 nAt, nT, 31; setp.eq.u32 nLane0, nAt, 0; ld.param.u32 nWidth, [pNormWidth]; ld.param.u64 nW, [pNormW]; shr.u32 nAt, nWidth, 3;
            """);
        for (int pass = 0; pass < passes; pass++)
        {
            ptx.Add($"add.u32 nRun{pass}, nT, {pass * Threads}; setp.lt.u32 nIn{pass}, nRun{pass}, nAt; mul.wide.u32 nd0, nRun{pass}, 32; add.u64 nd0, nd0, nW;");
            Read(ptx, pass, "nw", "nd0", aligned);
        }
    }

    /// <summary>The normed numbers of a row in nv; every one of the 512 threads must come.</summary>
    /// <param name="ptx">Receives the text.</param>
    /// <param name="passes">Runs of columns a thread has.</param>
    /// <param name="row">Register of the row.</param>
    /// <param name="aligned">Rows start at multiples of 16 bytes.</param>
    /// <param name="barrier">Where the 512 threads meet.</param>
    public static void Normalise(PtxText ptx, int passes, string row, bool aligned, string barrier)
    {
        ptx.Add($"ld.param.u64 nX, [pNormX]; ld.param.u32 nAt, [pNormXStride]; mul.wide.u32 nd0, {row}, nAt; shl.b64 nd0, nd0, 2; add.u64 nX, nX, nd0;");
        for (int pass = 0; pass < passes; pass++)
        {
            ptx.Add($"mul.wide.u32 nd0, nRun{pass}, 32; add.u64 nd0, nd0, nX;");
            Read(ptx, pass, "nv", "nd0", aligned);
        }

        ptx.Add("mov.f32 nSum, 0f00000000;");
        for (int i = 0; i < Run * passes; i++)
        {
            ptx.Add($"fma.rn.f32 nSum, nv{i}, nv{i}, nSum;");
        }

        for (int offset = 16; offset > 0; offset /= 2)
        {
            ptx.Add($"shfl.sync.bfly.b32 nf0, nSum, {offset}, 31, 0xffffffff; add.rn.f32 nSum, nSum, nf0;");
        }

        ptx.Add($"shr.u32 nAt, nT, 5; shl.b32 nAt, nAt, 2; add.u32 nAt, nAt, nSums; @nLane0 st.shared.f32 [nAt], nSum;\n{barrier}\nmov.f32 nSum, 0f00000000;");
        for (int i = 0; i < Threads / 32; i += 4)
        {
            ptx.Add($"ld.shared.v4.f32 {{nf0,nf1,nf2,nf3}}, [nSums+{4 * i}]; add.rn.f32 nSum, nSum, nf0; add.rn.f32 nSum, nSum, nf1; add.rn.f32 nSum, nSum, nf2; add.rn.f32 nSum, nSum, nf3;");
        }

        ptx.Add("cvt.rn.f32.u32 nf0, nWidth; div.rn.f32 nSum, nSum, nf0; ld.param.f32 nf1, [pNormEpsilon]; add.rn.f32 nSum, nSum, nf1; sqrt.rn.f32 nSum, nSum; rcp.rn.f32 nSum, nSum;");
        for (int i = 0; i < Run * passes; i++)
        {
            ptx.Add($"mul.rn.f32 nv{i}, nv{i}, nSum; mul.rn.f32 nv{i}, nv{i}, nw{i};");
        }
    }

    /// <summary>Stores the normed numbers as they are, where predicates of this name allow it.</summary>
    public static void StoreRow(PtxText ptx, int passes, string row, bool aligned, string allowed)
    {
        ptx.Add($"ld.param.u64 nY, [pNormY]; ld.param.u32 nAt, [pNormYStride]; mul.wide.u32 nd0, {row}, nAt; shl.b64 nd0, nd0, 2; add.u64 nY, nY, nd0;");
        for (int pass = 0; pass < passes; pass++)
        {
            ptx.Add($"mul.wide.u32 nd0, nRun{pass}, 32; add.u64 nd0, nd0, nY;");
            for (int i = 0; i < Run; i += aligned ? 4 : 1)
            {
                ptx.Add(aligned
                    ? $"@{allowed}{pass} st.global.v4.f32 [nd0+{4 * i}], {PtxText.Vector("nv", (Run * pass) + i, 4)};"
                    : $"@{allowed}{pass} st.global.f32 [nd0+{4 * i}], nv{(Run * pass) + i};");
            }
        }
    }

    /// <summary>A run's numbers as eight 16-bit numbers in nb0 to nb3; binary16 is scaled and saturates.</summary>
    public static void Pack(PtxText ptx, int pass, bool half)
    {
        for (int i = 0; i < Run; i += 2)
        {
            string low = $"nv{(Run * pass) + i}";
            string high = $"nv{(Run * pass) + i + 1}";
            if (!half)
            {
                ptx.Add($"cvt.rn.bf16x2.f32 nb{i / 2}, {high}, {low};");
                continue;
            }

            ptx.Add($"mul.rn.f32 nf0, {low}, 0f3D000000; min.f32 nf0, nf0, 0f477FE000; max.f32 nf0, nf0, 0fC77FE000; mul.rn.f32 nf1, {high}, 0f3D000000; min.f32 nf1, nf1, 0f477FE000; max.f32 nf1, nf1, 0fC77FE000;");
            ptx.Add($"cvt.rn.f16x2.f32 nb{i / 2}, nf1, nf0;");
        }
    }

    private static void Read(PtxText ptx, int pass, string target, string address, bool aligned)
    {
        for (int i = 0; i < Run; i++)
        {
            ptx.Add($"mov.f32 {target}{(Run * pass) + i}, 0f00000000;");
        }

        for (int i = 0; i < Run; i += aligned ? 4 : 1)
        {
            ptx.Add(aligned
                ? $"@nIn{pass} ld.global.v4.f32 {PtxText.Vector(target, (Run * pass) + i, 4)}, [{address}+{4 * i}];"
                : $"@nIn{pass} ld.global.f32 {target}{(Run * pass) + i}, [{address}+{4 * i}];");
        }
    }
}
