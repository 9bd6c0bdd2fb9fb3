namespace Cleave.Compute.Gpu.Cuda;

/// <summary>The end of both product kernels: scale back, add the bias, store, or join the residual stream.</summary>
internal static class ProductEpilogue
{
    /// <summary>Loads the parameters; p5 = has bias, p6 = has y, p7 = has residual.</summary>
    public static void Load(PtxText ptx)
    {
        string skip = ptx.Label("E");
        ptx.Add($$"""
            ld.param.u64 d4, [pBias]; ld.param.u64 d5, [pY]; ld.param.u64 d6, [pR];
            setp.ne.u64 p5, d4, 0; setp.ne.u64 p6, d5, 0; setp.ne.u64 p7, d6, 0;
            ld.param.u32 r30, [pN]; ld.param.u32 r31, [pYStride]; ld.param.u32 r32, [pRStride];
            ld.param.f32 f0, [pScale]; ld.param.f32 f1, [pOut];
            {{skip}}:
            """);
    }

    /// <summary>
    /// Stores four sums: outputs <paramref name="output"/> and + 8, rows <paramref name="row"/> + <paramref name="offset"/> and the next, those
    /// under N and <paramref name="rows"/>.
    /// </summary>
    public static void Store(PtxText ptx, string output, string row, int offset, string sums, int first, string rows)
    {
        for (int i = 0; i < 4; i++)
        {
            string skip = ptx.Label("S");
            ptx.Add($$"""
                add.u32 r33, {{row}}, {{offset + (i % 2)}}; add.u32 r34, {{output}}, {{i / 2 * 8}};
                setp.ge.u32 p0, r33, {{rows}}; @p0 bra {{skip}}; setp.ge.u32 p0, r34, r30; @p0 bra {{skip}};
                mul.rn.f32 f2, {{sums}}{{first + i}}, f1;
                mul.wide.u32 d7, r34, 4; add.u64 d8, d4, d7; @p5 ld.global.f32 f3, [d8]; @p5 add.rn.f32 f2, f2, f3;
                mul.wide.u32 d9, r33, r31; add.u64 d9, d9, 0; shl.b64 d9, d9, 2; add.u64 d9, d9, d5; add.u64 d9, d9, d7; @p6 st.global.f32 [d9], f2;
                mul.wide.u32 d10, r33, r32; shl.b64 d10, d10, 2; add.u64 d10, d10, d6; add.u64 d10, d10, d7;
                @p7 ld.global.f32 f3, [d10]; @p7 fma.rn.f32 f3, f0, f2, f3; @p7 st.global.f32 [d10], f3;
                {{skip}}:
                """);
        }
    }
}
