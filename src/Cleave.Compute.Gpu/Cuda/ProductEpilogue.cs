namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// The end of every product kernel: scale back, add the bias, store, join the residual stream, or (gated) activation(gate) · up. One text for
/// all of them, so that a number's bits do not depend on the kernel that made it. A thread holds, for each tile of 8 rows, four sums:
/// outputs o and o + 8 of rows t and t + 1. What is read (bias, residual) is read for many sums at once: its latency is paid once.
/// </summary>
internal static class ProductEpilogue
{
    /// <summary>Parameters that every product kernel takes.</summary>
    public const string Parameters = """
        .param .u64 pW, .param .u64 pX, .param .u64 pBias, .param .u64 pY, .param .u64 pR, .param .u64 pPacked,
          .param .u32 pSteps, .param .u32 pN, .param .u32 pM, .param .u32 pBands, .param .u32 pYStride, .param .u32 pRStride,
          .param .f32 pScale, .param .f32 pOut, .param .u32 pStageSteps, .param .u32 pSlots, .param .u32 pWarps,
          .param .u32 pTileRows, .param .u32 pColumns
        """;

    /// <summary>Declares what the other members use; <paramref name="sums"/> is how many sums are finished at once.</summary>
    public static void Declare(PtxText ptx, int sums) => ptx.Add($$"""
        .reg .pred pg, po0, po1, py0, py1, pr0, pr1, pk0; .reg .b32 eo, et, eStep, rStep, e0, e1, e2; .reg .b64 ey, er, ek, e3, e4; .reg .b16 eh;
        .reg .f32 bias0, bias1, joinScale, outScale, ev, ew, rest<{{sums}}>;
        """);

    /// <summary>
    /// Addresses and guards of this thread: first output in eo, first row in et; <paramref name="band"/> is the band's register and
    /// <paramref name="tileStart"/> the first row of the packed tile that results go to.
    /// </summary>
    public static void Prepare(PtxText ptx, bool gated, string band, string tileStart)
    {
        ptx.Add($$"""
            ld.param.u64 ey, [pY]; ld.param.u64 er, [pR]; ld.param.u32 e0, [pN]; ld.param.f32 joinScale, [pScale]; ld.param.f32 outScale, [pOut];
            setp.lt.u32 po0, eo, e0; add.u32 e1, eo, 8; setp.lt.u32 po1, e1, e0;
            setp.ne.and.u64 py0, ey, 0, po0; setp.ne.and.u64 py1, ey, 0, po1; setp.ne.and.u64 pr0, er, 0, po0; setp.ne.and.u64 pr1, er, 0, po1;
            ld.param.u32 e0, [pYStride]; mul.wide.u32 e3, et, e0; cvt.u64.u32 e4, eo; add.u64 e3, e3, e4; shl.b64 e3, e3, 2; add.u64 ey, ey, e3; shl.b32 eStep, e0, 2;
            ld.param.u32 e0, [pRStride]; mul.wide.u32 e3, et, e0; add.u64 e3, e3, e4; shl.b64 e3, e3, 2; add.u64 er, er, e3; shl.b32 rStep, e0, 2;
            mov.f32 bias0, 0f00000000; mov.f32 bias1, 0f00000000;
            """);
        if (gated)
        {
            // Packed rows: tile of T rows, in it [columns/8, T, 8]; a band of gate and up is one group of eight columns.
            ptx.Add($$"""
                ld.param.u64 ek, [pPacked]; ld.param.u32 e0, [pTileRows]; ld.param.u32 e1, [pColumns]; setp.ne.u64 pk0, ek, 0;
                mul.wide.u32 e3, {{tileStart}}, e1; mul.wide.u32 e4, {{band}}, e0; shl.b64 e4, e4, 3; add.u64 e3, e3, e4;
                sub.u32 e2, et, {{tileStart}}; shl.b32 e2, e2, 3; and.b32 e1, eo, 7; add.u32 e2, e2, e1; cvt.u64.u32 e4, e2; add.u64 e3, e3, e4; shl.b64 e3, e3, 1; add.u64 ek, ek, e3;
                """);
            return;
        }

        ptx.Add("""
            ld.param.u64 e3, [pBias]; setp.ne.and.u64 po0, e3, 0, po0; setp.ne.and.u64 po1, e3, 0, po1; mul.wide.u32 e4, eo, 4; add.u64 e3, e3, e4;
            @po0 ld.global.f32 bias0, [e3]; @po1 ld.global.f32 bias1, [e3+32];
            """);
    }

    /// <summary>Reads the residual numbers of tiles from <paramref name="tile"/> on.</summary>
    public static void Fetch(PtxText ptx, int tile, int tiles, string rows)
    {
        for (int i = 0; i < 4 * tiles; i++)
        {
            int offset = (8 * (tile + (i / 4))) + (i % 2);
            int high = i / 2 % 2;
            ptx.Add($"add.u32 e0, et, {offset}; setp.lt.and.u32 pg, e0, {rows}, pr{high}; mad.wide.u32 e3, rStep, {offset}, er; mov.f32 rest{i}, 0f00000000; @pg ld.global.f32 rest{i}, [e3+{32 * high}];");
        }
    }

    /// <summary>Stores the sums of tiles from <paramref name="tile"/> on; <paramref name="first"/> is the first tile's first sum.</summary>
    public static void Store(PtxText ptx, int tile, int tiles, string sums, int first, string rows)
    {
        for (int i = 0; i < 4 * tiles; i++)
        {
            int offset = (8 * (tile + (i / 4))) + (i % 2);
            int high = i / 2 % 2;
            ptx.Add($$"""
                mul.rn.f32 ev, {{sums}}{{first + i}}, outScale; add.rn.f32 ev, ev, bias{{high}}; add.u32 e0, et, {{offset}};
                setp.lt.and.u32 pg, e0, {{rows}}, py{{high}}; mad.wide.u32 e3, eStep, {{offset}}, ey; @pg st.global.f32 [e3+{{32 * high}}], ev;
                setp.lt.and.u32 pg, e0, {{rows}}, pr{{high}}; mad.wide.u32 e3, rStep, {{offset}}, er; fma.rn.f32 ev, joinScale, ev, rest{{i}}; @pg st.global.f32 [e3+{{32 * high}}], ev;
                """);
        }
    }

    /// <summary>Stores silu(gate) · up: the first two sums of a tile are gates, the other two their ups.</summary>
    public static void StoreGated(PtxText ptx, ElementType type, int tile, int tiles, string sums, int first, string rows)
    {
        for (int i = 0; i < 2 * tiles; i++)
        {
            int offset = (8 * (tile + (i / 2))) + (i % 2);
            int gate = first + (4 * (i / 2)) + (i % 2);
            ptx.Add($$"""
                mul.rn.f32 ev, {{sums}}{{gate}}, outScale; mul.rn.f32 ew, {{sums}}{{gate + 2}}, outScale;
                mul.rn.f32 bias0, ev, 0fBFB8AA3B; ex2.approx.f32 bias0, bias0; add.rn.f32 bias0, bias0, 0f3F800000; div.full.f32 ev, ev, bias0; mul.rn.f32 ev, ev, ew;
                add.u32 e0, et, {{offset}}; setp.lt.and.u32 pg, e0, {{rows}}, py0; mad.wide.u32 e3, eStep, {{offset}}, ey; @pg st.global.f32 [e3], ev;
                setp.lt.and.u32 pg, e0, {{rows}}, pk0;
                """);
            ptx.Add(type == ElementType.BF16
                ? "cvt.rn.bf16.f32 eh, ev;"
                : "mul.rn.f32 ev, ev, 0f3D000000; min.f32 ev, ev, 0f477FE000; max.f32 ev, ev, 0fC77FE000; cvt.rn.f16.f32 eh, ev;");
            ptx.Add($"@pg st.global.b16 [ek+{16 * offset}], eh;");
        }
    }
}
