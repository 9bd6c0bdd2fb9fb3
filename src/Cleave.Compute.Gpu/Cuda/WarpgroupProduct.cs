namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// The product for many rows on GPUs of compute capability 9.0: a block makes 128 outputs of 256 rows. Two groups of four warps, a band a warp,
/// hold weight fragments in registers and read the rows from shared memory (wgmma m64n256k16); a third group gives its registers to them, and
/// its first warp keeps a ring of bulk copies in flight. While one group loads, the other keeps the tensor cores busy. Bit-equal to the mma chain of <see cref="StreamProduct"/>: the
/// device contract holds it to that.
/// </summary>
internal static class WarpgroupProduct
{
    public const int StageSteps = 2;
    public const int Threads = 384;
    private const int Bands = BlockProduct.Bands;
    private const int Rows = BlockProduct.TileRows;

    // A step of 32 numbers of 256 rows.
    private const int RowsStepBytes = Rows * 64;

    // Matrix descriptor without swizzle: core matrices of 8 rows by 16 bytes lie 128 bytes apart along rows, 16 · 256 along K.
    private const long Descriptor = ((long)(128 >> 4) << 32) | ((long)(16 * Rows >> 4) << 16);

    public static string Name(ElementType type, bool gated) => $"group_{type}{(gated ? "_gated" : "")}";

    public static int SlotBytes(ElementType type) => StageSteps * ((Bands * WeightPacking.StepBytes(type)) + RowsStepBytes);

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
            .reg .pred pw, pl0, p<8>; .reg .b32 r<32>; .reg .b64 d<8>; .reg .f32 acc<128>; .reg .b32 a<16>;
            .reg .b32 steps, rows, bands, slots, lane, warp, ring, slot, parity, at, count, full, base, w16, w8, w2, w22, tileRow, band;
            .reg .b64 wp, xp, bandBytes, tileBytes, desc, descTile;
            """);
        ProductEpilogue.Declare(ptx, 16);
        ptx.Add($$"""
            griddepcontrol.launch_dependents;
            ld.param.u32 steps, [pSteps]; ld.param.u32 rows, [pM]; ld.param.u32 bands, [pBands]; ld.param.u32 slots, [pSlots];
            mov.u32 r0, %tid.x; and.b32 lane, r0, 31; shr.u32 warp, r0, 5; setp.eq.u32 pl0, lane, 0;
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
            mov.u32 slot, 0; mov.u32 parity, 0; mov.u32 at, 0; mov.u32 tileRow, %ctaid.x; shl.b32 tileRow, tileRow, 8; mov.u32 band, %ctaid.y; shl.b32 band, band, 3;
            setp.lt.u32 p0, warp, 8;
            @p0 bra CONSUME;
            setmaxnreg.dec.sync.aligned.u32 40;
            setp.ne.u32 p0, warp, 8;
            @p0 bra DONE;
            ld.param.u64 wp, [pW]; ld.param.u64 xp, [pX]; cvta.to.global.u64 wp, wp; cvta.to.global.u64 xp, xp;
            mul.wide.u32 bandBytes, steps, {{stepBytes}}; mul.wide.u32 tileBytes, steps, {{RowsStepBytes}};
            mov.u32 r2, %ctaid.x; cvt.u64.u32 d3, r2; mul.lo.u64 d3, d3, tileBytes; add.u64 xp, xp, d3;
            // A lane a band; the ninth lane copies the rows.
            add.u32 r14, band, lane; sub.u32 r15, bands, 1; min.u32 r14, r14, r15; cvt.u64.u32 d6, r14; mul.lo.u64 d6, d6, bandBytes; add.u64 wp, wp, d6;
            setp.lt.u32 p2, lane, {{Bands}}; setp.eq.u32 p3, lane, {{Bands}};
            mul.lo.u32 r16, lane, {{wBytes}}; add.u32 r16, r16, ring; add.u32 r16, r16, {{StreamProduct.HeaderBytes}};
            mov.u32 r20, 0;
            ISSUE:
            shl.b32 full, slot, 3; add.u32 full, full, ring;
            setp.lt.u32 p1, r20, slots; @p1 bra FREE;
            add.u32 r7, full, 128; xor.b32 r8, parity, 1;
            """);
        ptx.WaitBarrier("r7", "r8");
        ptx.Add($$"""
            FREE:
            sub.u32 count, steps, at; min.u32 count, count, {{StageSteps}};
            mul.lo.u32 r10, count, {{stepBytes}}; mul.lo.u32 r12, count, {{RowsStepBytes}}; shl.b32 r11, r10, 3; add.u32 r11, r11, r12;
            @pl0 mbarrier.arrive.expect_tx.shared::cta.b64 d0, [full], r11;
            bar.warp.sync 0xffffffff;
            mad.lo.u32 base, slot, {{slotBytes}}, r16; mul.wide.u32 d4, at, {{stepBytes}}; add.u64 d4, d4, wp; mul.wide.u32 d5, at, {{RowsStepBytes}}; add.u64 d5, d5, xp;
            @p2 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [base], [d4], r10, [full];
            @p3 cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [base], [d5], r12, [full];
            add.u32 r20, r20, 1; add.u32 slot, slot, 1; setp.ne.u32 p1, slot, slots; @p1 bra SAMESLOT;
            mov.u32 slot, 0; xor.b32 parity, parity, 1;
            SAMESLOT: add.u32 at, at, {{StageSteps}}; setp.lt.u32 p1, at, steps; @p1 bra ISSUE;
            bra DONE;
            CONSUME:
            setmaxnreg.inc.sync.aligned.u32 232;
            """);
        TensorCoreFragments.Prepare(ptx, type);
        for (int i = 0; i < 128; i++)
        {
            ptx.Add($"mov.f32 acc{i}, 0f00000000;");
        }

        ptx.Add($"mul.lo.u32 r1, warp, {wBytes}; add.u32 r1, r1, {StreamProduct.HeaderBytes}; add.u32 r1, r1, ring; add.u32 r2, ring, {StreamProduct.HeaderBytes + (Bands * wBytes)}; mov.u64 descTile, {Descriptor};");
        ptx.Add("sub.u32 r3, steps, 1; setp.eq.u32 p5, r3, 0; @p5 bra TAIL;\nSTAGE:");
        Stage(ptx, type, stepBytes, slotBytes, StageSteps);
        ptx.Add($"add.u32 at, at, {StageSteps}; setp.lt.u32 p4, at, r3; @p4 bra STAGE;\nsetp.ge.u32 p4, at, steps; @p4 bra FINISH;\nTAIL:");
        Stage(ptx, type, stepBytes, slotBytes, 1);
        ptx.Add("FINISH: add.u32 band, band, warp; shr.u32 r28, lane, 2; and.b32 et, lane, 3; shl.b32 et, et, 1; add.u32 et, et, tileRow;");
        ptx.Add(gated ? "shl.b32 eo, band, 3; add.u32 eo, eo, r28;" : "shl.b32 eo, band, 4; add.u32 eo, eo, r28;");
        ProductEpilogue.Prepare(ptx, gated, "band", "tileRow");
        for (int tile = 0; tile < 32; tile += 4)
        {
            if (gated)
            {
                ProductEpilogue.StoreGated(ptx, type, tile, 4, "acc", 4 * tile, "rows");
            }
            else
            {
                ProductEpilogue.Fetch(ptx, tile, 4, "rows");
                ProductEpilogue.Store(ptx, tile, 4, "acc", 4 * tile, "rows");
            }
        }

        ptx.Add("DONE: ret;\n}");
    }

    private static void Stage(PtxText ptx, ElementType type, int stepBytes, int slotBytes, int count)
    {
        string same = ptx.Label("SLOT");
        ptx.Add("shl.b32 full, slot, 3; add.u32 full, full, ring;");
        ptx.WaitBarrier("full", "parity");
        ptx.Add($$"""
            mad.lo.u32 base, slot, {{slotBytes}}, r1; mad.lo.u32 r4, slot, {{slotBytes}}, r2;
            shl.b32 r14, lane, 4; add.u32 w16, base, r14; shl.b32 r14, lane, 3; add.u32 w8, base, r14;
            shr.u32 r14, lane, 2; shl.b32 r15, r14, 1; add.u32 w2, base, r15; shl.b32 r15, r14, 2; add.u32 w22, base, r15;
            shr.u32 r4, r4, 4; and.b32 r4, r4, 0x3FFF; cvt.u64.u32 desc, r4; or.b64 desc, desc, descTile;
            """);
        for (int step = 0; step < count; step++)
        {
            TensorCoreFragments.Load(ptx, type, "w16", "w8", "w2", step * stepBytes, "a", 8 * step);
        }

        ptx.Add("wgmma.fence.sync.aligned;");
        string operands = type == ElementType.BF16 ? "bf16.bf16" : "f16.f16";
        for (int half = 0; half < 2 * count; half++)
        {
            ptx.Add($"wgmma.mma_async.sync.aligned.m64n256k16.f32.{operands} {PtxText.Vector("acc", 0, 128)}, {PtxText.Vector("a", 4 * half, 4)}, desc, 1, 1, 1, 0;");
            if (half + 1 < 2 * count)
            {
                ptx.Add($"add.u64 desc, desc, {RowsStepBytes / 2 / 16};");
            }
        }

        ptx.Add($$"""
            wgmma.commit_group.sync.aligned;
            wgmma.wait_group.sync.aligned 0;
            bar.warp.sync 0xffffffff;
            @pl0 mbarrier.arrive.shared::cta.b64 d0, [full+128];
            add.u32 slot, slot, 1; setp.ne.u32 p4, slot, slots; @p4 bra {{same}};
            mov.u32 slot, 0; xor.b32 parity, parity, 1;
            {{same}}:
            """);
    }
}
