namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// The product for up to 64 rows, at the speed of memory. A resident grid; each block owns a run of bands and walks K once for up to 16
/// of them, one warp a band. A producer warp keeps a ring of bulk copies (cp.async.bulk) in flight, and starts the first of them before the
/// kernel ahead has ended (weights depend on nothing). Consumers load the fragments of the next step while the tensor cores are at this
/// one. Canonical schedule: one mma chain a number, K ascending by 16.
/// </summary>
internal static class StreamProduct
{
    public const int MaxSlots = 16;
    public const int HeaderBytes = 256;

    public static string Name(ElementType type, int tiles, bool gated, int norm = 0) => $"stream_{type}_{tiles}{(gated ? "_gated" : "")}{(norm > 0 ? $"_normed{norm}" : "")}";

    /// <summary>Rows up to which a product makes the norm ahead of it itself: every block of threads makes all of it.</summary>
    public const int NormRows = 2;

    /// <summary>Warps that make a norm; the producer is the one after them.</summary>
    private const int NormWarps = RowNorm.Threads / 32;

    /// <summary>
    /// Consumer warps a block may have. Measured: with eight bands at once a stage's copies are twice as long and a 7B's step 1 to 2 % shorter;
    /// 32 rows and weights to decode need more warps, 64 rows their registers.
    /// </summary>
    public static int MaxWarps(ElementType type, int tiles) => tiles == 8 || (tiles <= 2 && type is ElementType.BF16 or ElementType.F16) ? 8 : 16;

    /// <param name="ptx">Receives the kernel.</param>
    /// <param name="type">Weight type.</param>
    /// <param name="tiles">Tiles of 8 rows: 1, 2, 4 or 8.</param>
    /// <param name="gated">Bands hold gates and ups; their activated products are stored.</param>
    /// <param name="norm">Runs of columns a thread has of the norm that this product begins with; 0 for a product of rows as they are.</param>
    public static void Emit(PtxText ptx, ElementType type, int tiles, bool gated, int norm = 0)
    {
        bool normed = norm > 0;
        int stepBytes = WeightPacking.StepBytes(type);
        bool early = tiles <= 2;
        ptx.Add($$"""
            .visible .entry {{Name(type, tiles, gated, norm)}}({{ProductEpilogue.Parameters}}, {{RowNorm.Parameters}})
            .maxntid {{32 * ((normed ? NormWarps : MaxWarps(type, tiles)) + 1)}}, 1, 1
            {
            .reg .pred pw, pl0, pstay, pend, pidle, p<8>; .reg .b32 r<32>; .reg .b64 d<8>; .reg .f32 acc<{{tiles * 4}}>;
            .reg .b32 a<16>; .reg .b32 b<{{8 * tiles}}>; .reg .b32 x<{{tiles}}>;
            .reg .b32 steps, rows, bands, stage, slots, warps, lane, warp, first, end, ring, slot, parity, slotBytes, wBytes, at, count, band, full, old, left, total, base, w16, w8, w2, w22, xk, stride, stepRows, zero, rowsAt, normRow;
            .reg .b64 wp, xp, bandBytes;
            """);
        ProductEpilogue.Declare(ptx, tiles * 4);
        ptx.Add($$"""
            ld.param.u32 steps, [pSteps]; ld.param.u32 rows, [pM]; ld.param.u32 bands, [pBands];
            ld.param.u32 stage, [pStageSteps]; ld.param.u32 slots, [pSlots]; ld.param.u32 warps, [pWarps];
            mov.u32 r0, %tid.x; and.b32 lane, r0, 31; shr.u32 warp, r0, 5; setp.eq.u32 pl0, lane, 0; mov.u32 zero, 0;
            mov.u32 r1, %ctaid.x; mov.u32 r2, %nctaid.x;
            mul.lo.u32 r3, r1, bands; div.u32 first, r3, r2; add.u32 r3, r3, bands; div.u32 end, r3, r2;
            mov.u32 ring, dynamic;
            mul.lo.u32 wBytes, stage, {{stepBytes}}; mul.lo.u32 r4, wBytes, warps;
            shl.b32 r5, stage, 6; mul.lo.u32 r5, r5, rows; add.u32 slotBytes, r4, {{(normed ? 0 : "r5")}}; mad.lo.u32 rowsAt, slots, slotBytes, ring; add.u32 rowsAt, rowsAt, {{HeaderBytes}};
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
            setp.ne.u32 p0, warp, {{(normed ? $"{NormWarps}" : "warps")}};
            @p0 bra CONSUME;
            """);
        Produce(ptx, stepBytes, normed);

        // Consumers: one warp a band.
        ptx.Add("CONSUME: add.u32 band, band, warp;");
        if (normed)
        {
            Norm(ptx, type, norm);
        }
        else
        {
            ptx.Add("griddepcontrol.wait;");
        }

        TensorCoreFragments.Prepare(ptx, type);
        ptx.Add("shl.b32 stride, rows, 4; shl.b32 stepRows, rows, 6; shr.u32 r10, lane, 3; mul.lo.u32 r10, r10, stride; and.b32 r11, lane, 7; sub.u32 r12, rows, 1;");
        for (int tile = 0; tile < tiles; tile++)
        {
            ptx.Add($"add.u32 r13, r11, {8 * tile}; min.u32 r13, r13, r12; shl.b32 r13, r13, 4; add.u32 x{tile}, r13, r10;");
        }

        ptx.Add("sub.u32 r26, end, first; mov.u32 r27, 0;\nPASS: setp.ge.u32 pidle, band, end; @pidle bra IDLE;");
        ptx.Add("shl.b32 eo, band, 4; shr.u32 r28, lane, 2; and.b32 et, lane, 3; shl.b32 et, et, 1;");
        ptx.Add(gated ? "shl.b32 eo, band, 3; add.u32 eo, eo, r28;" : "add.u32 eo, eo, r28;");
        if (early)
        {
            ProductEpilogue.Prepare(ptx, gated, "band", "zero");
            if (!gated)
            {
                ProductEpilogue.Fetch(ptx, 0, tiles, "rows");
            }
        }

        for (int i = 0; i < tiles * 4; i++)
        {
            ptx.Add($"mov.f32 acc{i}, 0f00000000;");
        }

        // Two steps a turn of the loop: registers 0 hold the step at hand and registers 1 the next, then the other way round.
        ptx.Add("mov.u32 total, steps; mov.u32 xk, rowsAt;");
        Enter(ptx, normed);
        Load(ptx, type, tiles, 0);
        ptx.Add("LOOP:");
        Run(ptx, type, tiles, 8);
        Run(ptx, type, tiles, 4);
        for (int half = 0; half < 2; half++)
        {
            string stay = ptx.Label("STAY");
            string loaded = ptx.Label("LOADED");
            string kept = ptx.Label("KEPT");
            ptx.Add($"HALF{half}:");
            ptx.Add($"sub.u32 total, total, 1; setp.eq.u32 pend, total, 0; @pend bra END{half};");
            ptx.Add($"sub.u32 left, left, 1; setp.ne.u32 pstay, left, 0; @pstay bra {stay};\nmov.u32 old, full;");
            Next(ptx);
            Enter(ptx, normed);
            ptx.Add($"bra {loaded};\n{stay}:");
            Forward(ptx, stepBytes);
            ptx.Add(normed ? $"{loaded}: add.u32 xk, xk, stepRows;" : $"add.u32 xk, xk, stepRows;\n{loaded}:");
            Load(ptx, type, tiles, 1 - half);
            Multiply(ptx, type, tiles, half);
            ptx.Add($$"""
                @pstay bra {{kept}};
                bar.warp.sync 0xffffffff;
                @pl0 mbarrier.arrive.shared::cta.b64 d0, [old+128];
                {{kept}}:
                """);
        }

        ptx.Add("bra LOOP;\nEND0:");
        Multiply(ptx, type, tiles, 0);
        ptx.Add("bra FINISH;\nEND1:");
        Multiply(ptx, type, tiles, 1);
        ptx.Add("FINISH: bar.warp.sync 0xffffffff;\n@pl0 mbarrier.arrive.shared::cta.b64 d0, [full+128];");
        Next(ptx);
        if (!early)
        {
            ProductEpilogue.Prepare(ptx, gated, "band", "zero");
            if (!gated)
            {
                ProductEpilogue.Fetch(ptx, 0, tiles, "rows");
            }
        }

        if (gated)
        {
            ProductEpilogue.StoreGated(ptx, type, 0, tiles, "acc", 0, "rows");
        }
        else
        {
            ProductEpilogue.Store(ptx, 0, tiles, "acc", 0, "rows");
        }

        ptx.Add("""
            bra PASSED;
            IDLE: mov.u32 at, 0;
            IDLESTAGE: shl.b32 full, slot, 3; add.u32 full, full, ring;
            """);
        ptx.WaitBarrier("full", "parity");
        ptx.Add("bar.warp.sync 0xffffffff;\n@pl0 mbarrier.arrive.shared::cta.b64 d0, [full+128];");
        Next(ptx);
        ptx.Add("""
            add.u32 at, at, stage; setp.lt.u32 p4, at, steps; @p4 bra IDLESTAGE;
            PASSED: add.u32 band, band, warps; add.u32 r27, r27, warps; setp.lt.u32 p4, r27, r26; @p4 bra PASS;
            DONE: ret;
            }
            """);
    }

    // Steps whose successors lie in the same stage: no branches between them. Falls through when the stage holds fewer.
    private static void Run(PtxText ptx, ElementType type, int tiles, int steps)
    {
        int stepBytes = WeightPacking.StepBytes(type);
        string fewer = ptx.Label("FEWER");
        ptx.Add($"setp.lt.u32 p4, left, {steps}; @p4 bra {fewer};");
        for (int step = 1; step < steps; step++)
        {
            ptx.Add("add.u32 xk, xk, stepRows;");
            Load(ptx, type, tiles, step % 2, step * stepBytes);
            Multiply(ptx, type, tiles, 1 - (step % 2));
        }

        Forward(ptx, (steps - 1) * stepBytes);
        ptx.Add($"sub.u32 left, left, {steps - 1}; sub.u32 total, total, {steps - 1}; bra HALF1;\n{fewer}:");
    }

    private static void Forward(PtxText ptx, int bytes) =>
        ptx.Add($"add.u32 w16, w16, {bytes}; add.u32 w8, w8, {bytes}; add.u32 w2, w2, {bytes}; add.u32 w22, w22, {bytes};");

    // The rows' norms, packed, to where the tensor cores read them. Every block makes them all; the first one also stores them.
    private static void Norm(PtxText ptx, ElementType type, int norm)
    {
        RowNorm.Declare(ptx, norm);
        ptx.Add($".reg .pred nOut<{norm}>; .reg .b32 nTo, nBase;");
        RowNorm.Prepare(ptx, norm, aligned: true);
        ptx.Add("mov.u32 nTo, %ctaid.x;");
        for (int pass = 0; pass < norm; pass++)
        {
            ptx.Add($"setp.eq.and.u32 nOut{pass}, nTo, 0, nIn{pass};");
        }

        // Sums of a row and of the next lie apart: one barrier a row is enough.
        ptx.Add("""
            shl.b32 nBase, steps, 6; mad.lo.u32 nBase, nBase, rows, rowsAt;
            griddepcontrol.wait;
            mov.u32 normRow, 0;
            NORM:
            """);
        ptx.Add($"and.b32 nSums, normRow, 1; mad.lo.u32 nSums, nSums, {RowNorm.SumBytes}, nBase;");
        RowNorm.Normalise(ptx, norm, "normRow", aligned: true, $"bar.sync 1, {RowNorm.Threads};");
        for (int pass = 0; pass < norm; pass++)
        {
            RowNorm.Pack(ptx, pass, type != ElementType.BF16);
            ptx.Add($"mad.lo.u32 nTo, nRun{pass}, rows, normRow; shl.b32 nTo, nTo, 4; add.u32 nTo, nTo, rowsAt; @nIn{pass} st.shared.v4.b32 [nTo], {{nb0,nb1,nb2,nb3}};");
        }

        RowNorm.StoreRow(ptx, norm, "normRow", aligned: true, "nOut");
        ptx.Add($"""
            add.u32 normRow, normRow, 1; setp.lt.u32 p4, normRow, rows; @p4 bra NORM;
            bar.sync 1, {RowNorm.Threads};
            setp.ge.u32 p4, warp, warps; @p4 bra DONE;
            """);
    }

    // One warp: a lane a band. Weights of the whole ring first, then the rows, which the kernel ahead may still be making; a norm's consumers
    // make the rows themselves, and the weights go on without a wait.
    private static void Produce(PtxText ptx, int stepBytes, bool normed)
    {
        ptx.Add($$"""
            ld.param.u64 wp, [pW]; ld.param.u64 xp, [pX]; cvta.to.global.u64 wp, wp; cvta.to.global.u64 xp, xp;
            mul.wide.u32 bandBytes, steps, {{stepBytes}};
            mov.u32 r20, 0;
            FILL:
            setp.ge.u32 p0, r20, slots; @p0 bra FILLED;
            setp.ge.u32 p0, band, end; @p0 bra FILLED;
            """);
        IssueWeights(ptx, stepBytes, normed);
        Next(ptx);
        Advance(ptx);
        ptx.Add("""
            add.u32 r20, r20, 1;
            bra FILL;
            FILLED:
            """);
        if (!normed)
        {
            ptx.Add("""
                griddepcontrol.wait;
                mov.u32 r21, 0; mov.u32 slot, 0; mov.u32 parity, 0; mov.u32 at, 0; mov.u32 band, first;
                FILLX:
                setp.ge.u32 p0, r21, r20; @p0 bra STEADY;
                """);
            IssueRows(ptx);
            Next(ptx);
            Advance(ptx);
            ptx.Add("add.u32 r21, r21, 1; bra FILLX;");
        }

        ptx.Add("""
            STEADY:
            setp.ge.u32 p0, band, end; @p0 bra ISSUED;
            shl.b32 r7, slot, 3; add.u32 r7, r7, ring; add.u32 r7, r7, 128;
            xor.b32 r8, parity, 1;
            """);
        ptx.WaitBarrier("r7", "r8");
        IssueWeights(ptx, stepBytes, normed);
        if (!normed)
        {
            IssueRows(ptx);
        }

        Next(ptx);
        Advance(ptx);

        // Only now may the next kernel start: its first copies then fill the gap between this one's last and its own first sums.
        ptx.Add("bra STEADY;\nISSUED: griddepcontrol.launch_dependents; bra DONE;");
    }

    // r9 bands of r10 bytes are left of this stage; d1 = this lane's, p1 = there is one.
    private static void Sizes(PtxText ptx, int stepBytes) => ptx.Add($$"""
        sub.u32 count, steps, at; min.u32 count, count, stage;
        sub.u32 r9, end, band; min.u32 r9, r9, warps; mul.lo.u32 r10, count, {{stepBytes}};
        add.u32 r12, band, lane; cvt.u64.u32 d1, r12; mul.lo.u64 d1, d1, bandBytes; mul.wide.u32 d2, at, {{stepBytes}}; add.u64 d1, d1, d2; add.u64 d1, d1, wp;
        setp.lt.u32 p1, lane, r9;
        """);

    private static void IssueWeights(PtxText ptx, int stepBytes, bool normed)
    {
        Sizes(ptx, stepBytes);
        ptx.Add("mul.lo.u32 r11, r10, r9;");
        if (!normed)
        {
            ptx.Add("shl.b32 r12, count, 6; mul.lo.u32 r12, r12, rows; add.u32 r11, r11, r12;");
        }

        ptx.Add("""
            shl.b32 full, slot, 3; add.u32 full, full, ring;
            @pl0 mbarrier.arrive.expect_tx.shared::cta.b64 d0, [full], r11;
            mul.lo.u32 base, slot, slotBytes; add.u32 base, base, ring; add.u32 base, base, 256; mul.lo.u32 r13, lane, wBytes; add.u32 base, base, r13;
            bar.warp.sync 0xffffffff;
            @p1 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [base], [d1], r10, [full];
            """);
    }

    private static void IssueRows(PtxText ptx) => ptx.Add("""
        sub.u32 count, steps, at; min.u32 count, count, stage;
        shl.b32 full, slot, 3; add.u32 full, full, ring;
        mul.lo.u32 base, slot, slotBytes; add.u32 base, base, ring; add.u32 base, base, 256;
        mul.lo.u32 r10, wBytes, warps; add.u32 base, base, r10;
        shl.b32 r12, count, 6; mul.lo.u32 r12, r12, rows;
        shl.b32 r13, at, 6; mul.wide.u32 d1, r13, rows; add.u64 d1, d1, xp;
        @pl0 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [base], [d1], r12, [full];
        """);

    // The ring's next slot.
    private static void Next(PtxText ptx)
    {
        string same = ptx.Label("SLOT");
        ptx.Add($$"""
            add.u32 slot, slot, 1; setp.ne.u32 p2, slot, slots; @p2 bra {{same}};
            mov.u32 slot, 0; xor.b32 parity, parity, 1;
            {{same}}:
            """);
    }

    // The next run of K, or the next bands.
    private static void Advance(PtxText ptx)
    {
        string next = ptx.Label("NEXT");
        ptx.Add($$"""
            add.u32 at, at, stage; setp.lt.u32 p2, at, steps; @p2 bra {{next}};
            mov.u32 at, 0; add.u32 band, band, warps;
            {{next}}:
            """);
    }

    // Waits for the stage in the current slot; left = its steps, addresses of its first step.
    private static void Enter(PtxText ptx, bool normed)
    {
        ptx.Add("shl.b32 full, slot, 3; add.u32 full, full, ring;");
        ptx.WaitBarrier("full", "parity");
        ptx.Add("""
            min.u32 left, total, stage;
            mad.lo.u32 base, slot, slotBytes, ring; add.u32 base, base, 256;
            """);
        if (!normed)
        {
            ptx.Add("mad.lo.u32 xk, wBytes, warps, base;");
        }

        ptx.Add("""
            mad.lo.u32 base, wBytes, warp, base;
            shl.b32 r14, lane, 4; add.u32 w16, base, r14; shl.b32 r14, lane, 3; add.u32 w8, base, r14;
            shr.u32 r14, lane, 2; shl.b32 r15, r14, 1; add.u32 w2, base, r15; shl.b32 r15, r14, 2; add.u32 w22, base, r15;
            """);
    }

    private static void Load(PtxText ptx, ElementType type, int tiles, int half, int offset = 0)
    {
        TensorCoreFragments.Load(ptx, type, "w16", "w8", "w2", offset, "a", 8 * half);
        for (int tile = 0; tile < tiles; tile++)
        {
            ptx.Add($"add.u32 r17, xk, x{tile}; ldmatrix.sync.aligned.m8n8.x4.shared.b16 {PtxText.Vector("b", 4 * ((half * tiles) + tile), 4)}, [r17];");
        }
    }

    private static void Multiply(PtxText ptx, ElementType type, int tiles, int half)
    {
        string mma = TensorCoreFragments.Mma(type);
        for (int part = 0; part < 2; part++)
        {
            for (int tile = 0; tile < tiles; tile++)
            {
                string sum = PtxText.Vector("acc", 4 * tile, 4);
                ptx.Add($"{mma} {sum}, {PtxText.Vector("a", (8 * half) + (4 * part), 4)}, {PtxText.Vector("b", (4 * ((half * tiles) + tile)) + (2 * part), 2)}, {sum};");
            }
        }
    }
}
