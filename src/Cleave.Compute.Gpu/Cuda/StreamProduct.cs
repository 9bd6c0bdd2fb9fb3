namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// The product for up to 64 rows, at the speed of memory. A resident grid; each block owns a run of bands and walks K once for up to 16
/// of them, one warp a band. A producer thread keeps a ring of bulk copies (cp.async.bulk) in flight, and starts the first of them
/// before the kernel ahead has ended (weights depend on nothing). Canonical schedule: one mma chain a number, K ascending by 16.
/// </summary>
internal static class StreamProduct
{
    public const int MaxSlots = 16;
    public const int HeaderBytes = 256;
    public const int MaxWarps = 16;

    public static string Name(ElementType type, int tiles) => $"stream_{type}_{tiles}";

    /// <param name="ptx">Receives the kernel.</param>
    /// <param name="type">Weight type.</param>
    /// <param name="tiles">Tiles of 8 rows: 1, 2, 4 or 8.</param>
    public static void Emit(PtxText ptx, ElementType type, int tiles)
    {
        int stepBytes = WeightPacking.StepBytes(type);
        int unroll = tiles <= 2 ? 4 : 2;
        ptx.Add($$"""
            .visible .entry {{Name(type, tiles)}}(.param .u64 pW, .param .u64 pX, .param .u64 pBias, .param .u64 pY, .param .u64 pR,
              .param .u32 pSteps, .param .u32 pN, .param .u32 pM, .param .u32 pBands, .param .u32 pYStride, .param .u32 pRStride,
              .param .f32 pScale, .param .f32 pOut, .param .u32 pStageSteps, .param .u32 pSlots, .param .u32 pWarps)
            .maxntid 544, 1, 1
            {
            .reg .pred pw, p<8>; .reg .b32 r<40>; .reg .b64 d<16>; .reg .f32 acc<{{tiles * 4}}>; .reg .f32 f<8>;
            .reg .b32 a<{{8 * unroll}}>; .reg .b32 b<{{4 * tiles * unroll}}>; .reg .b32 x<{{tiles}}>;
            .reg .b32 steps, rows, bands, stage, slots, warps, lane, warp, first, end, ring, slot, parity, slotBytes, wBytes, at, count, band, full, empty, k, base, w16, w8, w2, w22, xk, stride;
            .reg .b64 wp, xp, bandBytes;
            ld.param.u32 steps, [pSteps]; ld.param.u32 rows, [pM]; ld.param.u32 bands, [pBands];
            ld.param.u32 stage, [pStageSteps]; ld.param.u32 slots, [pSlots]; ld.param.u32 warps, [pWarps];
            mov.u32 r0, %tid.x; and.b32 lane, r0, 31; shr.u32 warp, r0, 5;
            mov.u32 r1, %ctaid.x; mov.u32 r2, %nctaid.x;
            mul.lo.u32 r3, r1, bands; div.u32 first, r3, r2; add.u32 r3, r3, bands; div.u32 end, r3, r2;
            mov.u32 ring, dynamic;
            mul.lo.u32 wBytes, stage, {{stepBytes}}; mul.lo.u32 r4, wBytes, warps;
            shl.b32 r5, stage, 6; mul.lo.u32 r5, r5, rows; add.u32 slotBytes, r4, r5;
            setp.ne.u32 p0, r0, 0;
            @p0 bra READY;
            mov.u32 r6, 0;
            INIT: shl.b32 r7, r6, 3; add.u32 r7, r7, ring;
            mbarrier.init.shared::cta.b64 [r7], 1; mbarrier.init.shared::cta.b64 [r7+128], warps;
            add.u32 r6, r6, 1; setp.lt.u32 p1, r6, slots; @p1 bra INIT;
            fence.mbarrier_init.release.cluster; fence.proxy.async;
            READY: bar.sync 0;
            setp.ge.u32 p0, first, end;
            @p0 bra DONE;
            mov.u32 slot, 0; mov.u32 parity, 0; mov.u32 at, 0; mov.u32 band, first;
            setp.ne.u32 p0, warp, warps;
            @p0 bra CONSUME;
            """);

        // Producer.
        ptx.Add($$"""
            setp.ne.u32 p0, lane, 0;
            @p0 bra DONE;
            ld.param.u64 wp, [pW]; ld.param.u64 xp, [pX]; cvta.to.global.u64 wp, wp; cvta.to.global.u64 xp, xp;
            mul.wide.u32 bandBytes, steps, {{stepBytes}};
            mov.u32 r20, 0;
            FILL:
            setp.ge.u32 p0, r20, slots; @p0 bra FILLED;
            setp.ge.u32 p0, band, end; @p0 bra FILLED;
            """);
        IssueWeights(ptx, stepBytes);
        Advance(ptx, "FILLNEXT");
        ptx.Add("""
            add.u32 r20, r20, 1;
            bra FILL;
            FILLED:
            griddepcontrol.wait;
            mov.u32 r21, 0; mov.u32 r22, at; mov.u32 r23, band; mov.u32 r24, slot; mov.u32 r25, parity;
            mov.u32 slot, 0; mov.u32 parity, 0; mov.u32 at, 0; mov.u32 band, first;
            FILLX:
            setp.ge.u32 p0, r21, r20; @p0 bra STEADY;
            """);
        IssueRows(ptx);
        Advance(ptx, "FILLXNEXT");
        ptx.Add("""
            add.u32 r21, r21, 1;
            bra FILLX;
            STEADY:
            setp.ge.u32 p0, band, end; @p0 bra ISSUED;
            shl.b32 r7, slot, 3; add.u32 r7, r7, ring; add.u32 r7, r7, 128;
            xor.b32 r8, parity, 1;
            """);
        ptx.WaitBarrier("r7", "r8");
        IssueWeights(ptx, stepBytes);
        IssueRows(ptx);
        Advance(ptx, "STEADYNEXT");

        // Only now may the next kernel start: its first copies then fill the gap between this one's last and its own first sums.
        ptx.Add("bra STEADY;\nISSUED: griddepcontrol.launch_dependents; bra DONE;");

        // Consumers: one warp a band.
        ptx.Add("CONSUME: griddepcontrol.wait; mov.u32 band, first; add.u32 band, band, warp;");
        TensorCoreFragments.Prepare(ptx, type);
        ptx.Add("shl.b32 stride, rows, 4; shr.u32 r10, lane, 3; mul.lo.u32 r10, r10, stride; and.b32 r11, lane, 7; sub.u32 r12, rows, 1;");
        for (int tile = 0; tile < tiles; tile++)
        {
            ptx.Add($"add.u32 r13, r11, {8 * tile}; min.u32 r13, r13, r12; shl.b32 r13, r13, 4; add.u32 x{tile}, r13, r10;");
        }

        ptx.Add("sub.u32 r26, end, first; mov.u32 r27, 0; PASS:");
        for (int i = 0; i < tiles * 4; i++)
        {
            ptx.Add($"mov.f32 acc{i}, 0f00000000;");
        }

        ptx.Add($$"""
            mov.u32 at, 0;
            STAGE:
            shl.b32 full, slot, 3; add.u32 full, full, ring;
            """);
        ptx.WaitBarrier("full", "parity");
        ptx.Add($$"""
            setp.ge.u32 p2, band, end;
            @p2 bra RELEASE;
            sub.u32 count, steps, at; min.u32 count, count, stage;
            mul.lo.u32 base, slot, slotBytes; add.u32 base, base, ring; add.u32 base, base, {{HeaderBytes}};
            mul.lo.u32 r14, wBytes, warps; add.u32 xk, base, r14;
            mul.lo.u32 r14, wBytes, warp; add.u32 base, base, r14;
            shl.b32 r14, lane, 4; add.u32 w16, base, r14; shl.b32 r14, lane, 3; add.u32 w8, base, r14;
            shr.u32 r14, lane, 2; shl.b32 r15, r14, 1; add.u32 w2, base, r15; shl.b32 r15, r14, 2; add.u32 w22, base, r15;
            shl.b32 r16, stride, 2;
            mov.u32 k, {{unroll}};
            setp.gt.u32 p3, k, count; @p3 bra TAIL;
            MAIN:
            """);
        Steps(ptx, type, tiles, unroll, stepBytes);
        ptx.Add($$"""
            add.u32 k, k, {{unroll}}; setp.le.u32 p3, k, count; @p3 bra MAIN;
            TAIL:
            sub.u32 k, k, {{unroll}};
            REST:
            setp.ge.u32 p3, k, count; @p3 bra RELEASE;
            """);
        Steps(ptx, type, tiles, 1, stepBytes);
        ptx.Add("""
            add.u32 k, k, 1; bra REST;
            RELEASE:
            bar.warp.sync 0xffffffff;
            setp.ne.u32 p4, lane, 0;
            @!p4 mbarrier.arrive.shared::cta.b64 d0, [full+128];
            add.u32 slot, slot, 1; setp.ne.u32 p4, slot, slots; @p4 bra KEEP;
            mov.u32 slot, 0; xor.b32 parity, parity, 1;
            KEEP:
            add.u32 at, at, stage; setp.lt.u32 p4, at, steps; @p4 bra STAGE;
            @p2 bra DONE;
            """);
        ProductEpilogue.Load(ptx);
        ptx.Add("shl.b32 r28, band, 4; shr.u32 r29, lane, 2; add.u32 r28, r28, r29; and.b32 r29, lane, 3; shl.b32 r29, r29, 1;");
        for (int tile = 0; tile < tiles; tile++)
        {
            ProductEpilogue.Store(ptx, "r28", "r29", 8 * tile, "acc", 4 * tile, "rows");
        }

        ptx.Add("""
            add.u32 band, band, warps; add.u32 r27, r27, warps; setp.lt.u32 p4, r27, r26; @p4 bra PASS;
            DONE: ret;
            }
            """);
    }

    private static void IssueWeights(PtxText ptx, int stepBytes)
    {
        string loop = ptx.Label("COPY");
        ptx.Add($$"""
            sub.u32 count, steps, at; min.u32 count, count, stage;
            sub.u32 r9, end, band; min.u32 r9, r9, warps;
            mul.lo.u32 r10, count, {{stepBytes}}; mul.lo.u32 r11, r10, r9; shl.b32 r12, count, 6; mul.lo.u32 r12, r12, rows; add.u32 r11, r11, r12;
            shl.b32 full, slot, 3; add.u32 full, full, ring;
            mbarrier.arrive.expect_tx.shared::cta.b64 d0, [full], r11;
            mul.lo.u32 base, slot, slotBytes; add.u32 base, base, ring; add.u32 base, base, {{HeaderBytes}};
            cvt.u64.u32 d1, band; mul.lo.u64 d1, d1, bandBytes; mul.wide.u32 d2, at, {{stepBytes}}; add.u64 d1, d1, d2; add.u64 d1, d1, wp;
            mov.u32 r13, 0;
            {{loop}}:
            cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [base], [d1], r10, [full];
            add.u32 base, base, wBytes; add.u64 d1, d1, bandBytes;
            add.u32 r13, r13, 1; setp.lt.u32 p1, r13, r9; @p1 bra {{loop}};
            """);
    }

    private static void IssueRows(PtxText ptx) => ptx.Add($$"""
        sub.u32 count, steps, at; min.u32 count, count, stage;
        shl.b32 full, slot, 3; add.u32 full, full, ring;
        mul.lo.u32 base, slot, slotBytes; add.u32 base, base, ring; add.u32 base, base, {{HeaderBytes}};
        mul.lo.u32 r10, wBytes, warps; add.u32 base, base, r10;
        shl.b32 r12, count, 6; mul.lo.u32 r12, r12, rows;
        shl.b32 r13, at, 6; mul.wide.u32 d1, r13, rows; add.u64 d1, d1, xp;
        cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [base], [d1], r12, [full];
        """);

    private static void Advance(PtxText ptx, string stem)
    {
        string same = ptx.Label(stem);
        string next = ptx.Label(stem);
        ptx.Add($$"""
            add.u32 slot, slot, 1; setp.ne.u32 p1, slot, slots; @p1 bra {{same}};
            mov.u32 slot, 0; xor.b32 parity, parity, 1;
            {{same}}:
            add.u32 at, at, stage; setp.lt.u32 p1, at, steps; @p1 bra {{next}};
            mov.u32 at, 0; add.u32 band, band, warps;
            {{next}}:
            """);
    }

    private static void Steps(PtxText ptx, ElementType type, int tiles, int unroll, int stepBytes)
    {
        for (int u = 0; u < unroll; u++)
        {
            TensorCoreFragments.Load(ptx, type, "w16", "w8", "w2", u * stepBytes, "a", 8 * u);
            for (int tile = 0; tile < tiles; tile++)
            {
                ptx.Add($"add.u32 r17, xk, x{tile}; ldmatrix.sync.aligned.m8n8.x4.shared.b16 {PtxText.Vector("b", 4 * ((u * tiles) + tile), 4)}, [r17];");
            }

            ptx.Add("add.u32 xk, xk, r16;");
        }

        string mma = TensorCoreFragments.Mma(type);
        for (int u = 0; u < unroll; u++)
        {
            for (int half = 0; half < 2; half++)
            {
                for (int tile = 0; tile < tiles; tile++)
                {
                    string sum = PtxText.Vector("acc", 4 * tile, 4);
                    ptx.Add($"{mma} {sum}, {PtxText.Vector("a", (8 * u) + (4 * half), 4)}, {PtxText.Vector("b", (4 * ((u * tiles) + tile)) + (2 * half), 2)}, {sum};");
                }
            }
        }

        ptx.Add($"add.u32 w16, w16, {unroll * stepBytes}; add.u32 w8, w8, {unroll * stepBytes}; add.u32 w2, w2, {unroll * stepBytes}; add.u32 w22, w22, {unroll * stepBytes};");
    }
}
