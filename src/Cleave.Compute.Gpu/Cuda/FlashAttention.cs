namespace Cleave.Compute.Gpu.Cuda;

/// <summary>
/// Tree attention on tensor cores (after Dao et al. 2022, arXiv 2205.14135). A block of four warps takes up to 64 query rows (a chain of
/// tokens times the heads that share a key head) against blocks of 64 positions starting at multiples of 64. Every position block is computed from
/// zero (maximum, exponentials, sum, weighted values) and merged into what came before by one formula, here or, when a step has too few
/// rows to fill the device, in <see cref="EmitMerge"/>, by the same instructions. So a row's bits depend on its own history alone:
/// positions it does not see add exact zeros.
/// </summary>
internal static class FlashAttention
{
    public const int Threads = 128;
    public const int QueryRows = 64;
    public const int BlockLength = 64;

    public static string Name(int headDim, bool half) => $"attend_{headDim}_{(half ? "f16" : "bf16")}";

    public static string MergeName(int headDim, bool half) => $"merge_{headDim}_{(half ? "f16" : "bf16")}";

    /// <summary>Keys and values of two position blocks.</summary>
    public static int SharedBytes(int headDim) => 4 * BlockLength * headDim * 2;

    public static void Emit(PtxText ptx, int headDim, bool half)
    {
        int chunks = headDim / 16;
        int rowBytes = headDim * 2;
        int blockBytes = BlockLength * rowBytes;
        string pack = half ? "cvt.rn.f16x2.f32" : "cvt.rn.bf16x2.f32";
        string mma = TensorCoreFragments.Mma(half ? ElementType.F16 : ElementType.BF16);
        ptx.Add($$"""
            .visible .entry {{Name(headDim, half)}}(.param .u64 pQ, .param .u64 pArena, .param .u64 pPlan, .param .u64 pTables, .param .u64 pTails, .param .u64 pTiles,
              .param .u64 pPartial, .param .u64 pStatistics, .param .u64 pY, .param .u64 pPacked, .param .u64 pKeys, .param .u64 pValues,
              .param .u32 pQStride, .param .u32 pYStride, .param .u32 pSlotBytes, .param .u32 pGroup, .param .u32 pHeads, .param .u32 pBlocks, .param .u32 pWindow, .param .f32 pScale,
              .param .u32 pTileRows, .param .u32 pColumns, .param .u32 pPackHalf)
            .maxntid {{Threads}}, 1, 1
            {
            .reg .pred p<8>, pv<4>, direct, packs, packHalf; .reg .b32 r<48>; .reg .b64 d<24>; .reg .f32 f<16>;
            .reg .b32 q<{{chunks * 4}}>; .reg .f32 s<32>; .reg .f32 o<{{headDim / 2}}>; .reg .f32 t<{{headDim / 2}}>; .reg .b32 e<16>; .reg .b32 b<4>;
            .reg .b32 lane, warp, tid, group, tokens, firstRow, last, window, block, blockEnd, buffer, shared, own0, own1, low0, low1, keyHead, row0, row1, head0, head1, kBase, vBase, position;
            .reg .b64 plan, tables, tails, arena, keys, values, lastTable, lastTail; .reg .b32 lastPrefix;
            .reg .f32 m0, m1, l0, l1, bm0, bm1, bl0, bl1, alpha0, alpha1, beta0, beta1;
            griddepcontrol.launch_dependents;
            mov.u32 tid, %tid.x; and.b32 lane, tid, 31; shr.u32 warp, tid, 5; mov.u32 shared, dynamic;
            ld.param.u64 plan, [pPlan]; ld.param.u64 tables, [pTables]; ld.param.u64 tails, [pTails]; ld.param.u64 arena, [pArena];
            ld.param.u64 keys, [pKeys]; ld.param.u64 values, [pValues]; add.u64 keys, keys, arena; add.u64 values, values, arena;
            ld.param.u32 group, [pGroup]; ld.param.u32 window, [pWindow]; mov.u32 keyHead, %ctaid.y;
            ld.param.u64 d0, [pTiles]; mov.u32 r0, %ctaid.x; mul.wide.u32 d1, r0, 16; add.u64 d0, d0, d1;
            ld.global.v4.u32 {firstRow, tokens, last, r1}, [d0];
            // The last token's path names the slot of every position of the tile.
            add.u32 r2, firstRow, tokens; sub.u32 r2, r2, 1; mul.wide.u32 d1, r2, 20; add.u64 d1, d1, plan;
            ld.global.u32 r3, [d1+8]; ld.global.u32 lastPrefix, [d1+12]; ld.global.u32 r4, [d1+16];
            mul.wide.u32 lastTable, r3, 4; add.u64 lastTable, lastTable, tables; mul.wide.u32 lastTail, r4, 4; add.u64 lastTail, lastTail, tails;
            ld.param.u64 d2, [pPartial]; setp.eq.u64 direct, d2, 0;
            shr.u32 blockEnd, last, 6; add.u32 blockEnd, blockEnd, 1; mov.u32 block, r1;
            @direct bra RANGE;
            mov.u32 block, %ctaid.z; add.u32 block, block, r1; setp.ge.u32 p0, block, blockEnd; @p0 bra DONE; add.u32 blockEnd, block, 1;
            RANGE:
            mul.lo.u32 r5, keyHead, {{rowBytes}}; cvt.u64.u32 d3, r5; add.u64 keys, keys, d3; add.u64 values, values, d3;
            """);

        // The plan was there before the kernel ahead began: its numbers are read before the wait, queries, keys and values after it.
        Slot(ptx, "block");
        ptx.Add("griddepcontrol.wait;");

        // Query rows g and g + 8 of this warp: token row / group, head row % group. Rows past the tile see nothing.
        ptx.Add("shl.b32 r6, warp, 4; shr.u32 r7, lane, 2; add.u32 r6, r6, r7; and.b32 r8, lane, 3; shl.b32 r8, r8, 1; ld.param.u64 d4, [pQ]; ld.param.u32 r9, [pQStride];");
        for (int i = 0; i < 2; i++)
        {
            string done = ptx.Label("Q");
            ptx.Add($$"""
                add.u32 r10, r6, {{8 * i}}; div.u32 r11, r10, group; mul.lo.u32 r12, r11, group; sub.u32 r12, r10, r12; mul.lo.u32 r13, keyHead, group; add.u32 head{{i}}, r13, r12;
                setp.lt.u32 pv{{i}}, r11, tokens; add.u32 row{{i}}, firstRow, r11; mov.u32 own{{i}}, -1; mov.u32 low{{i}}, 0;
                """);
            for (int c = 0; c < chunks; c++)
            {
                ptx.Add($"mov.b32 q{(4 * c) + i}, 0; mov.b32 q{(4 * c) + 2 + i}, 0;");
            }

            ptx.Add($$"""
                @!pv{{i}} bra {{done}};
                mul.wide.u32 d5, row{{i}}, 20; add.u64 d5, d5, plan; ld.global.u32 own{{i}}, [d5];
                sub.s32 low{{i}}, own{{i}}, window; add.s32 low{{i}}, low{{i}}, 1; max.s32 low{{i}}, low{{i}}, 0; setp.eq.u32 p0, window, 0; selp.b32 low{{i}}, 0, low{{i}}, p0;
                mul.wide.u32 d5, row{{i}}, r9; mul.lo.u32 r14, head{{i}}, {{headDim}}; add.u32 r14, r14, r8; cvt.u64.u32 d6, r14; add.u64 d5, d5, d6; shl.b64 d5, d5, 2; add.u64 d5, d5, d4;
                """);
            for (int c = 0; c < chunks; c++)
            {
                ptx.Add($"ld.global.v2.f32 {{f0,f1}}, [d5+{64 * c}]; ld.global.v2.f32 {{f2,f3}}, [d5+{(64 * c) + 32}]; {pack} q{(4 * c) + i}, f1, f0; {pack} q{(4 * c) + 2 + i}, f3, f2;");
            }

            ptx.Add($"{done}:");
        }

        ptx.Add("mov.f32 m0, 0fFF800000; mov.f32 m1, 0fFF800000; mov.f32 l0, 0f00000000; mov.f32 l1, 0f00000000;");
        for (int i = 0; i < headDim / 2; i++)
        {
            ptx.Add($"mov.f32 t{i}, 0f00000000;");
        }

        ptx.Add("mov.u32 buffer, 0; mov.u32 position, block;");
        Fetch(ptx, headDim, rowBytes, blockBytes, "buffer");
        ptx.Add($$"""
            BLOCK:
            add.u32 position, block, 1; setp.lt.u32 p1, position, blockEnd; @!p1 bra LASTBLOCK;
            xor.b32 r15, buffer, 1;
            """);
        Slot(ptx, "position");
        Fetch(ptx, headDim, rowBytes, blockBytes, "r15");
        ptx.Add($$"""
            cp.async.wait_group 1;
            bra READY;
            LASTBLOCK:
            cp.async.wait_group 0;
            READY:
            bar.sync 0;
            mul.lo.u32 r16, buffer, {{2 * blockBytes}}; add.u32 kBase, shared, r16; add.u32 vBase, kBase, {{blockBytes}};
            """);

        // Scores: 16 rows by 64 positions, numbers of the head in ascending order.
        ptx.Add("and.b32 r17, lane, 7; shr.u32 r18, lane, 3;");
        for (int i = 0; i < 32; i++)
        {
            ptx.Add($"mov.f32 s{i}, 0f00000000;");
        }

        ptx.Add($"mul.lo.u32 r19, r17, {rowBytes}; add.u32 r19, r19, kBase;");
        for (int c = 0; c < headDim / 32; c++)
        {
            ptx.Add($"add.u32 r20, r18, {4 * c}; xor.b32 r20, r20, r17; shl.b32 r20, r20, 4; add.u32 r20, r20, r19;");
            for (int tile = 0; tile < 8; tile++)
            {
                string sum = PtxText.Vector("s", 4 * tile, 4);
                ptx.Add($"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {{b0,b1,b2,b3}}, [r20+{tile * 8 * rowBytes}];");
                ptx.Add($"{mma} {sum}, {PtxText.Vector("q", 8 * c, 4)}, {{b0,b1}}, {sum};");
                ptx.Add($"{mma} {sum}, {PtxText.Vector("q", (8 * c) + 4, 4)}, {{b2,b3}}, {sum};");
            }
        }

        // Scale to powers of two, hide what a row does not see.
        ptx.Add("ld.param.f32 f4, [pScale]; shl.b32 r21, block, 6; add.u32 r21, r21, r8; mov.f32 bm0, 0fFF800000; mov.f32 bm1, 0fFF800000;");
        for (int i = 0; i < 32; i++)
        {
            int row = i / 2 % 2;
            ptx.Add($"add.u32 r22, r21, {(i / 4 * 8) + (i % 2)}; mul.rn.f32 s{i}, s{i}, f4; setp.gt.s32 p2, r22, own{row}; setp.lt.s32 p3, r22, low{row}; or.pred p2, p2, p3; selp.f32 s{i}, 0fFF800000, s{i}, p2; max.f32 bm{row}, bm{row}, s{i};");
        }

        for (int row = 0; row < 2; row++)
        {
            ptx.Add($"shfl.sync.bfly.b32 f5, bm{row}, 1, 31, 0xffffffff; max.f32 bm{row}, bm{row}, f5; shfl.sync.bfly.b32 f5, bm{row}, 2, 31, 0xffffffff; max.f32 bm{row}, bm{row}, f5;");
            ptx.Add($"setp.eq.f32 p2, bm{row}, 0fFF800000; selp.f32 f{6 + row}, 0f00000000, bm{row}, p2; mov.f32 bl{row}, 0f00000000;");
        }

        for (int i = 0; i < 32; i++)
        {
            int row = i / 2 % 2;
            ptx.Add($"sub.rn.f32 s{i}, s{i}, f{6 + row}; ex2.approx.ftz.f32 s{i}, s{i}; add.rn.f32 bl{row}, bl{row}, s{i};");
        }

        for (int row = 0; row < 2; row++)
        {
            ptx.Add($"shfl.sync.bfly.b32 f5, bl{row}, 1, 31, 0xffffffff; add.rn.f32 bl{row}, bl{row}, f5; shfl.sync.bfly.b32 f5, bl{row}, 2, 31, 0xffffffff; add.rn.f32 bl{row}, bl{row}, f5;");
        }

        for (int j = 0; j < 4; j++)
        {
            ptx.Add($"{pack} e{4 * j}, s{(8 * j) + 1}, s{8 * j}; {pack} e{(4 * j) + 1}, s{(8 * j) + 3}, s{(8 * j) + 2}; {pack} e{(4 * j) + 2}, s{(8 * j) + 5}, s{(8 * j) + 4}; {pack} e{(4 * j) + 3}, s{(8 * j) + 7}, s{(8 * j) + 6};");
        }

        // Values, positions in ascending order.
        for (int i = 0; i < headDim / 2; i++)
        {
            ptx.Add($"mov.f32 o{i}, 0f00000000;");
        }

        ptx.Add($"and.b32 r23, r18, 1; shl.b32 r23, r23, 3; add.u32 r23, r23, r17; mul.lo.u32 r24, r23, {rowBytes}; add.u32 r24, r24, vBase; shr.u32 r25, r18, 1;");
        for (int c = 0; c < headDim / 16; c++)
        {
            ptx.Add($"add.u32 r26, r25, {2 * c}; xor.b32 r26, r26, r17; shl.b32 r26, r26, 4; add.u32 r26, r26, r24;");
            for (int j = 0; j < 4; j++)
            {
                ptx.Add($"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {{b0,b1,b2,b3}}, [r26+{j * 16 * rowBytes}];");
                for (int n = 0; n < 2; n++)
                {
                    string sum = PtxText.Vector("o", 4 * ((2 * c) + n), 4);
                    ptx.Add($"{mma} {sum}, {PtxText.Vector("e", 4 * j, 4)}, {PtxText.Vector("b", 2 * n, 2)}, {sum};");
                }
            }
        }

        ptx.Add("@!direct bra PARTIAL;");
        for (int row = 0; row < 2; row++)
        {
            Merge(ptx, $"m{row}", $"l{row}", $"bm{row}", $"bl{row}", $"alpha{row}", $"beta{row}");
        }

        for (int i = 0; i < headDim / 2; i++)
        {
            int row = i / 2 % 2;
            ptx.Add($"mul.rn.f32 t{i}, t{i}, alpha{row}; fma.rn.f32 t{i}, o{i}, beta{row}, t{i};");
        }

        ptx.Add($$"""
            bar.sync 0;
            xor.b32 buffer, buffer, 1;
            mov.u32 block, position; @p1 bra BLOCK;
            ld.param.u64 d7, [pY]; ld.param.u32 r27, [pYStride]; ld.param.u64 d19, [pPacked]; setp.ne.u64 packs, d19, 0; ld.param.u32 r46, [pPackHalf]; setp.ne.u32 packHalf, r46, 0;
            ld.param.u32 r45, [pTileRows]; ld.param.u32 r47, [pColumns];
            """);
        for (int row = 0; row < 2; row++)
        {
            string skip = ptx.Label("Y");
            ptx.Add($$"""
                @!pv{{row}} bra {{skip}};
                rcp.rn.f32 f8, l{{row}}; mul.wide.u32 d8, row{{row}}, r27; mul.lo.u32 r28, head{{row}}, {{headDim}}; add.u32 r28, r28, r8; cvt.u64.u32 d9, r28; add.u64 d8, d8, d9; shl.b64 d8, d8, 2; add.u64 d8, d8, d7;
                div.u32 r36, row{{row}}, r45; mul.lo.u32 r36, r36, r45; mul.wide.u32 d20, r36, r47; sub.u32 r37, row{{row}}, r36; shl.b32 r37, r37, 3; add.u32 r37, r37, r8; cvt.u64.u32 d21, r37; add.u64 d20, d20, d21;
                mul.lo.u32 r38, head{{row}}, {{headDim}}; mul.wide.u32 d21, r38, r45; add.u64 d20, d20, d21; shl.b64 d20, d20, 1; add.u64 d20, d20, d19; shl.b32 r39, r45, 4; cvt.u64.u32 d21, r39;
                """);
            for (int n = 0; n < headDim / 8; n++)
            {
                int i = (4 * n) + (2 * row);
                ptx.Add($"mul.rn.f32 f9, t{i}, f8; mul.rn.f32 f10, t{i + 1}, f8; st.global.v2.f32 [d8+{32 * n}], {{f9,f10}};");

                // Packed rows: tile of T rows, in it [columns/8, T, 8], as EmitMerge packs them.
                ptx.Add("cvt.rn.bf16x2.f32 r40, f10, f9; mul.rn.f32 f9, f9, 0f3D000000; min.f32 f9, f9, 0f477FE000; max.f32 f9, f9, 0fC77FE000; mul.rn.f32 f10, f10, 0f3D000000; min.f32 f10, f10, 0f477FE000; max.f32 f10, f10, 0fC77FE000;");
                ptx.Add("cvt.rn.f16x2.f32 r41, f10, f9; selp.b32 r40, r41, r40, packHalf; @packs st.global.b32 [d20], r40; add.u64 d20, d20, d21;");
            }

            ptx.Add($"{skip}:");
        }

        ptx.Add("bra DONE;\nPARTIAL: ld.param.u64 d10, [pStatistics]; ld.param.u32 r29, [pHeads]; ld.param.u32 r30, [pBlocks];");
        for (int row = 0; row < 2; row++)
        {
            string skip = ptx.Label("T");
            ptx.Add($$"""
                @!pv{{row}} bra {{skip}};
                mul.lo.u32 r31, row{{row}}, r29; add.u32 r31, r31, head{{row}}; mul.lo.u32 r31, r31, r30; add.u32 r31, r31, block;
                mul.wide.u32 d11, r31, {{4 * headDim}}; add.u64 d11, d11, d2; mul.wide.u32 d12, r8, 4; add.u64 d11, d11, d12;
                """);
            for (int n = 0; n < headDim / 8; n++)
            {
                int i = (4 * n) + (2 * row);
                ptx.Add($"st.global.v2.f32 [d11+{32 * n}], {{o{i},o{i + 1}}};");
            }

            ptx.Add($$"""
                setp.ne.u32 p4, r8, 0; mul.wide.u32 d13, r31, 8; add.u64 d13, d13, d10; @!p4 st.global.v2.f32 [d13], {bm{{row}},bl{{row}}};
                {{skip}}:
                """);
        }

        ptx.Add("DONE: ret;\n}");
    }

    /// <summary>Merges the position blocks of each row and head in ascending order: a block of threads per row and head, a thread per number.</summary>
    public static void EmitMerge(PtxText ptx, int headDim, bool half)
    {
        const int Batch = 16;
        ptx.Add($$"""
            .visible .entry {{MergeName(headDim, half)}}(.param .u64 pPartial, .param .u64 pStatistics, .param .u64 pPlan, .param .u64 pY, .param .u64 pPacked,
              .param .u32 pYStride, .param .u32 pHeads, .param .u32 pBlocks, .param .u32 pWindow, .param .u32 pTileRows, .param .u32 pColumns)
            .maxntid {{headDim}}, 1, 1
            {
            .reg .pred p<8>; .reg .b32 r<32>; .reg .b64 d<16>; .reg .f32 f<16>; .reg .f32 m, l, t, alpha, beta; .reg .b16 h0;
            .reg .f32 bm<{{Batch}}>; .reg .f32 bl<{{Batch}}>; .reg .f32 o<{{Batch}}>; .reg .b32 own, block, blockEnd, blocks, tid, row, head;
            griddepcontrol.launch_dependents;
            griddepcontrol.wait;
            mov.u32 tid, %tid.x; mov.u32 row, %ctaid.x; mov.u32 head, %ctaid.y;
            ld.param.u64 d0, [pPlan]; mul.wide.u32 d1, row, 20; add.u64 d0, d0, d1; ld.global.u32 own, [d0];
            ld.param.u32 r0, [pWindow]; sub.s32 r1, own, r0; add.s32 r1, r1, 1; max.s32 r1, r1, 0; setp.eq.u32 p0, r0, 0; selp.b32 r1, 0, r1, p0;
            shr.u32 block, r1, 6; shr.u32 blockEnd, own, 6; add.u32 blockEnd, blockEnd, 1;
            ld.param.u32 r2, [pHeads]; ld.param.u32 blocks, [pBlocks]; mul.lo.u32 r3, row, r2; add.u32 r3, r3, head; mul.lo.u32 r3, r3, blocks;
            ld.param.u64 d2, [pPartial]; ld.param.u64 d3, [pStatistics];
            mov.f32 m, 0fFF800000; mov.f32 l, 0f00000000; mov.f32 t, 0f00000000;
            BATCH:
            """);
        for (int i = 0; i < Batch; i++)
        {
            ptx.Add($$"""
                add.u32 r4, block, {{i}}; setp.lt.u32 p1, r4, blockEnd; add.u32 r5, r3, r4; mul.wide.u32 d4, r5, 8; add.u64 d4, d4, d3;
                mov.f32 bm{{i}}, 0fFF800000; mov.f32 bl{{i}}, 0f00000000; mov.f32 o{{i}}, 0f00000000; @p1 ld.global.v2.f32 {bm{{i}},bl{{i}}}, [d4];
                mul.wide.u32 d5, r5, {{4 * headDim}}; add.u64 d5, d5, d2; mul.wide.u32 d6, tid, 4; add.u64 d5, d5, d6; @p1 ld.global.f32 o{{i}}, [d5];
                """);
        }

        for (int i = 0; i < Batch; i++)
        {
            Merge(ptx, "m", "l", $"bm{i}", $"bl{i}", "alpha", "beta");
            ptx.Add($"mul.rn.f32 t, t, alpha; fma.rn.f32 t, o{i}, beta, t;");
        }

        ptx.Add($$"""
            add.u32 block, block, {{Batch}}; setp.lt.u32 p2, block, blockEnd; @p2 bra BATCH;
            rcp.rn.f32 f0, l; mul.rn.f32 t, t, f0;
            ld.param.u64 d7, [pY]; ld.param.u32 r6, [pYStride]; mul.wide.u32 d8, row, r6; mul.lo.u32 r7, head, {{headDim}}; add.u32 r7, r7, tid; cvt.u64.u32 d9, r7; add.u64 d8, d8, d9; shl.b64 d8, d8, 2; add.u64 d7, d7, d8;
            st.global.f32 [d7], t;
            ld.param.u64 d10, [pPacked]; setp.eq.u64 p3, d10, 0; @p3 bra DONE;
            """);
        if (half)
        {
            ptx.Add("mul.rn.f32 t, t, 0f3D000000; min.f32 t, t, 0f477FE000; max.f32 t, t, 0fC77FE000; cvt.rn.f16.f32 h0, t;");
        }
        else
        {
            ptx.Add("cvt.rn.bf16.f32 h0, t;");
        }

        // PackedRows: tile of T rows, in it [K/8, T, 8].
        ptx.Add("""
            ld.param.u32 r8, [pTileRows]; ld.param.u32 r9, [pColumns]; div.u32 r10, row, r8; mul.lo.u32 r11, r10, r8; sub.u32 r12, row, r11;
            mul.wide.u32 d11, r11, r9; shr.u32 r13, r7, 3; mul.lo.u32 r13, r13, r8; add.u32 r13, r13, r12; shl.b32 r13, r13, 3; and.b32 r14, r7, 7; add.u32 r13, r13, r14; cvt.u64.u32 d12, r13;
            add.u64 d11, d11, d12; shl.b64 d11, d11, 1; add.u64 d11, d11, d10; st.global.b16 [d11], h0;
            DONE: ret;
            }
            """);
    }

    /// <summary>Joins a block's maximum and sum to the running ones; alpha and beta are the factors on the running and the new numbers.</summary>
    private static void Merge(PtxText ptx, string m, string l, string bm, string bl, string alpha, string beta) => ptx.Add($$"""
        max.f32 f11, {{m}}, {{bm}}; setp.eq.f32 p5, f11, 0fFF800000; selp.f32 f12, 0f00000000, f11, p5;
        sub.rn.f32 {{alpha}}, {{m}}, f12; ex2.approx.ftz.f32 {{alpha}}, {{alpha}}; sub.rn.f32 {{beta}}, {{bm}}, f12; ex2.approx.ftz.f32 {{beta}}, {{beta}};
        mul.rn.f32 {{l}}, {{l}}, {{alpha}}; fma.rn.f32 {{l}}, {{bl}}, {{beta}}, {{l}}; mov.f32 {{m}}, f11;
        """);

    // r34 = slot of this thread's position in the block, r35 = 16, or 0 past the end (zeros are copied then).
    private static void Slot(PtxText ptx, string block)
    {
        string tail = ptx.Label("TAIL");
        string have = ptx.Label("HAVE");
        ptx.Add($$"""
            shr.u32 r32, tid, 1; shl.b32 r33, {{block}}, 6; add.u32 r33, r33, r32; setp.le.u32 p6, r33, last; mov.u32 r34, 0; mov.u32 r35, 0;
            @!p6 bra {{have}};
            mov.u32 r35, 16;
            setp.ge.u32 p7, r33, lastPrefix; @p7 bra {{tail}};
            mul.wide.u32 d14, r33, 4; add.u64 d14, d14, lastTable; ld.global.u32 r34, [d14]; bra {{have}};
            {{tail}}: sub.u32 r36, r33, lastPrefix; mul.wide.u32 d14, r36, 4; add.u64 d14, d14, lastTail; ld.global.u32 r34, [d14];
            {{have}}:
            """);
    }

    // Two threads a position, each half of its key and of its value; 16-byte chunk c of row p lies at c xor (p mod 8).
    private static void Fetch(PtxText ptx, int headDim, int rowBytes, int blockBytes, string buffer)
    {
        int chunks = headDim / 16;
        ptx.Add($$"""
            ld.param.u32 r37, [pSlotBytes]; mul.wide.u32 d15, r34, r37; and.b32 r38, tid, 1; mul.lo.u32 r39, r38, {{chunks * 16}}; cvt.u64.u32 d16, r39; add.u64 d15, d15, d16;
            add.u64 d17, keys, d15; add.u64 d18, values, d15;
            mul.lo.u32 r40, {{buffer}}, {{2 * blockBytes}}; add.u32 r40, r40, shared; mul.lo.u32 r41, r32, {{rowBytes}}; add.u32 r40, r40, r41; and.b32 r42, r32, 7; mul.lo.u32 r43, r38, {{chunks}};
            """);
        for (int c = 0; c < chunks; c++)
        {
            ptx.Add($"add.u32 r44, r43, {c}; xor.b32 r44, r44, r42; shl.b32 r44, r44, 4; add.u32 r44, r44, r40;");
            ptx.Add($"cp.async.cg.shared.global [r44], [d17+{16 * c}], 16, r35; cp.async.cg.shared.global [r44+{blockBytes}], [d18+{16 * c}], 16, r35;");
        }

        ptx.Add("cp.async.commit_group;");
    }
}
