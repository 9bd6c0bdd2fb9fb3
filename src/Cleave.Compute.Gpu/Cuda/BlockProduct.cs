namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// The product for many rows: a block makes 128 outputs of 256 rows, eight warps of 64 by 64, fed by a ring of bulk copies. The same mma
/// chain a number as <see cref="StreamProduct"/>, hence the same bits.
/// </summary>
internal static class BlockProduct
{
    public const int Bands = 8;
    public const int TileRows = 256;
    public const int StageSteps = 2;
    public const int Threads = 256;
    private const int RowsBytes = TileRows * StageSteps * 64;

    public static string Name(ElementType type, bool gated) => $"block_{type}{(gated ? "_gated" : "")}";

    public static int SlotBytes(ElementType type) => (Bands * StageSteps * WeightPacking.StepBytes(type)) + RowsBytes;

    public static void Emit(PtxText ptx, ElementType type, bool gated)
    {
        int stepBytes = WeightPacking.StepBytes(type);
        int wBytes = StageSteps * stepBytes;
        int slotBytes = SlotBytes(type);
        ptx.Add($$"""
            .visible .entry {{Name(type, gated)}}({{ProductEpilogue.Parameters}})
            .maxntid {{Threads}}, 1, 1
            .minnctapersm 1
            {
            .reg .pred pw, p<8>; .reg .b32 r<40>; .reg .b64 d<16>; .reg .f32 acc<128>;
            .reg .b32 a<32>; .reg .b32 b<32>;
            .reg .b32 steps, rows, bands, slots, lane, warp, ring, slot, parity, at, count, full, base, nextAt, nextSlot, released, w16, w8, w2, w22, xk, band, tileRow;
            .reg .b64 wp, xp, bandBytes, tileBytes;
            """);
        ProductEpilogue.Declare(ptx, 16);
        ptx.Add($$"""
            griddepcontrol.launch_dependents;
            ld.param.u32 steps, [pSteps]; ld.param.u32 rows, [pM]; ld.param.u32 bands, [pBands]; ld.param.u32 slots, [pSlots];
            mov.u32 r0, %tid.x; and.b32 lane, r0, 31; shr.u32 warp, r0, 5;
            mov.u32 ring, dynamic;
            setp.ne.u32 p0, r0, 0;
            @p0 bra READY;
            mov.u32 r6, 0;
            INIT: shl.b32 r7, r6, 3; add.u32 r7, r7, ring;
            mbarrier.init.shared::cta.b64 [r7], 1; mbarrier.init.shared::cta.b64 [r7+128], 8;
            add.u32 r6, r6, 1; setp.lt.u32 p1, r6, slots; @p1 bra INIT;
            fence.mbarrier_init.release.cluster; fence.proxy.async;
            READY: bar.sync 0;
            griddepcontrol.wait;
            mov.u32 slot, 0; mov.u32 parity, 0; mov.u32 at, 0;
            ld.param.u64 wp, [pW]; ld.param.u64 xp, [pX]; cvta.to.global.u64 wp, wp; cvta.to.global.u64 xp, xp;
            mul.wide.u32 bandBytes, steps, {{stepBytes}}; mul.wide.u32 tileBytes, steps, 16384;
            mov.u32 r2, %ctaid.x; cvt.u64.u32 d3, r2; mul.lo.u64 d3, d3, tileBytes; add.u64 xp, xp, d3;
            // Thread 0 keeps the ring full: stage s goes to slot s mod slots.
            mov.u32 nextAt, 0; mov.u32 nextSlot, 0; mov.u32 r20, 0;
            setp.ne.u32 p0, r0, 0; @p0 bra FILLED;
            FILL:
            setp.ge.u32 p0, nextAt, steps; @p0 bra FILLED; add.u32 r21, r20, 1; setp.ge.u32 p0, r21, slots; @p0 bra FILLED;
            """);
        Issue(ptx, stepBytes, wBytes, slotBytes, "FILLKEEP");
        ptx.Add("""
            add.u32 r20, r20, 1; bra FILL;
            FILLED:
            """);
        TensorCoreFragments.Prepare(ptx, type);
        for (int i = 0; i < 128; i++)
        {
            ptx.Add($"mov.f32 acc{i}, 0f00000000;");
        }

        ptx.Add("mov.u32 released, 0;");

        // Warp: outputs 64·(warp & 1), rows 64·(warp >> 1). ldmatrix lane: matrix lane/8 is numbers 8i.., row lane%8 of the tile of 8.
        ptx.Add($$"""
            and.b32 r1, warp, 1; mul.lo.u32 r1, r1, {{4 * wBytes}}; shr.u32 r2, warp, 1; shl.b32 r2, r2, 10;
            shr.u32 r3, lane, 3; shl.b32 r3, r3, 12; and.b32 r4, lane, 7; shl.b32 r4, r4, 4; add.u32 r3, r3, r4; add.u32 r2, r2, r3; add.u32 r2, r2, {{Bands * wBytes}};
            STAGE:
            shl.b32 full, slot, 3; add.u32 full, full, ring;
            """);
        ptx.WaitBarrier("full", "parity");
        // The slot that the stage before this one left is refilled now: by this time the other warps have left it as well.
        ptx.Add("""
            setp.ne.u32 p0, r0, 0; @p0 bra REFILLED;
            setp.ge.u32 p0, nextAt, steps; @p0 bra REFILLED;
            setp.eq.u32 p0, at, 0; @p0 bra REFILL;
            shl.b32 r7, nextSlot, 3; add.u32 r7, r7, ring; add.u32 r7, r7, 128;
            """);
        ptx.WaitBarrier("r7", "released");
        ptx.Add("""
            add.u32 r18, nextSlot, 1; setp.ne.u32 p0, r18, slots; @p0 bra REFILL;
            xor.b32 released, released, 1;
            REFILL:
            """);
        Issue(ptx, stepBytes, wBytes, slotBytes, "REFILLKEEP");
        ptx.Add($$"""
            REFILLED:
            bar.warp.sync 0xffffffff;
            sub.u32 count, steps, at; min.u32 count, count, {{StageSteps}};
            shl.b32 full, slot, 3; add.u32 full, full, ring;
            mul.lo.u32 base, slot, {{slotBytes}}; add.u32 base, base, ring; add.u32 base, base, {{StreamProduct.HeaderBytes}};
            add.u32 xk, base, r2; add.u32 base, base, r1;
            shl.b32 r14, lane, 4; add.u32 w16, base, r14; shl.b32 r14, lane, 3; add.u32 w8, base, r14;
            shr.u32 r14, lane, 2; shl.b32 r15, r14, 1; add.u32 w2, base, r15; shl.b32 r15, r14, 2; add.u32 w22, base, r15;
            setp.ne.u32 p1, count, {{StageSteps}}; @p1 bra SHORT;
            """);
        for (int step = 0; step < StageSteps; step++)
        {
            Step(ptx, type, stepBytes, wBytes, step);
        }

        ptx.Add("bra RELEASE;\nSHORT:");
        Step(ptx, type, stepBytes, wBytes, 0);
        ptx.Add($$"""
            RELEASE:
            bar.warp.sync 0xffffffff;
            setp.ne.u32 p4, lane, 0;
            @!p4 mbarrier.arrive.shared::cta.b64 d0, [full+128];
            add.u32 slot, slot, 1; setp.ne.u32 p4, slot, slots; @p4 bra CKEEP;
            mov.u32 slot, 0; xor.b32 parity, parity, 1;
            CKEEP: add.u32 at, at, {{StageSteps}}; setp.lt.u32 p4, at, steps; @p4 bra STAGE;
            """);
        ptx.Add("""
            mov.u32 band, %ctaid.y; shl.b32 band, band, 3; and.b32 r29, warp, 1; shl.b32 r29, r29, 2; add.u32 band, band, r29; shr.u32 r28, lane, 2;
            mov.u32 tileRow, %ctaid.x; shl.b32 tileRow, tileRow, 8; shr.u32 et, warp, 1; shl.b32 et, et, 6; add.u32 et, et, tileRow; and.b32 r35, lane, 3; shl.b32 r35, r35, 1; add.u32 et, et, r35;
            """);
        for (int part = 0; part < 4; part++)
        {
            ptx.Add(gated ? "shl.b32 eo, band, 3; add.u32 eo, eo, r28;" : "shl.b32 eo, band, 4; add.u32 eo, eo, r28;");
            ProductEpilogue.Prepare(ptx, gated, "band", "tileRow");
            for (int tile = 0; tile < 8; tile += 4)
            {
                int first = 4 * ((part * 8) + tile);
                if (gated)
                {
                    ProductEpilogue.StoreGated(ptx, type, tile, 4, "acc", first, "rows");
                }
                else
                {
                    ProductEpilogue.Fetch(ptx, tile, 4, "rows");
                    ProductEpilogue.Store(ptx, tile, 4, "acc", first, "rows");
                }
            }

            ptx.Add("add.u32 band, band, 1;");
        }

        ptx.Add("DONE: ret;\n}");
    }

    // One step of 32: the next band's fragments are loaded ahead of a band's products.
    private static void Step(PtxText ptx, ElementType type, int stepBytes, int wBytes, int step)
    {
        for (int tile = 0; tile < 8; tile++)
        {
            ptx.Add($"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {PtxText.Vector("b", 4 * tile, 4)}, [xk+{(step * 16384) + (tile * 128)}];");
        }

        string mma = TensorCoreFragments.Mma(type);
        TensorCoreFragments.Load(ptx, type, "w16", "w8", "w2", step * stepBytes, "a", 0);
        for (int band = 0; band < 4; band++)
        {
            if (band < 3)
            {
                TensorCoreFragments.Load(ptx, type, "w16", "w8", "w2", ((band + 1) * wBytes) + (step * stepBytes), "a", 8 * (band + 1));
            }

            for (int half = 0; half < 2; half++)
            {
                for (int tile = 0; tile < 8; tile++)
                {
                    string sum = PtxText.Vector("acc", 4 * ((band * 8) + tile), 4);
                    ptx.Add($"{mma} {sum}, {PtxText.Vector("a", (8 * band) + (4 * half), 4)}, {PtxText.Vector("b", (4 * tile) + (2 * half), 2)}, {sum};");
                }
            }
        }
    }

    // One stage of copies at nextAt into nextSlot.
    private static void Issue(PtxText ptx, int stepBytes, int wBytes, int slotBytes, string label)
    {
        ptx.Add($$"""
            mov.u32 r19, %ctaid.y; shl.b32 r19, r19, 3; sub.u32 r22, bands, 1;
            sub.u32 count, steps, nextAt; min.u32 count, count, {{StageSteps}};
            mul.lo.u32 r10, count, {{stepBytes}}; shl.b32 r11, r10, 3; shl.b32 r12, count, 14; add.u32 r11, r11, r12;
            shl.b32 full, nextSlot, 3; add.u32 full, full, ring;
            mbarrier.arrive.expect_tx.shared::cta.b64 d0, [full], r11;
            mul.lo.u32 base, nextSlot, {{slotBytes}}; add.u32 base, base, ring; add.u32 base, base, {{StreamProduct.HeaderBytes}};
            mul.wide.u32 d4, nextAt, {{stepBytes}}; add.u64 d4, d4, wp; mul.wide.u32 d5, nextAt, 16384; add.u64 d5, d5, xp;
            """);
        for (int band = 0; band < Bands; band++)
        {
            ptx.Add($"add.u32 r14, r19, {band}; min.u32 r14, r14, r22; cvt.u64.u32 d6, r14; mul.lo.u64 d6, d6, bandBytes; add.u64 d6, d6, d4;");
            ptx.Add($"add.u32 r15, base, {band * wBytes}; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [r15], [d6], r10, [full];");
        }

        ptx.Add($"add.u32 r15, base, {Bands * wBytes}; cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [r15], [d5], r12, [full];");
        ptx.Add($$"""
            add.u32 nextAt, nextAt, {{StageSteps}}; add.u32 nextSlot, nextSlot, 1; setp.ne.u32 p1, nextSlot, slots; @p1 bra {{label}};
            mov.u32 nextSlot, 0;
            {{label}}:
            """);
    }
}
