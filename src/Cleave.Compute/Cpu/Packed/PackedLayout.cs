namespace Cleave.Compute.Cpu.Packed;

/// <summary>
/// Where the bytes of a packed BF16 matrix lie: in the order in which products read them, so that memory is asked for one long run of
/// lines. Measured beyond the caches at eight rows: 69 % of the peak rather than 66 with rows one after the other, whose pieces of 1.5 KB the hardware
/// cannot foresee.
/// <para>
/// Three outputs are a tile, <see cref="ChunkTiles"/> tiles a chunk. A chunk holds the headers of its tiles, then for each slice of
/// <see cref="Slice"/> numbers along K the units of its tiles: 128 numbers of three outputs, <see cref="UnitBytes"/> each.
/// </para>
/// <para>
/// A unit of one output: 128 low bytes as they are, and 64 bytes of indices into the output's table of high bytes, those of the first 64
/// numbers in the low halves. Byte p of 64 belongs to number <see cref="NumberAt"/>, so that two interleavings of low and high bytes give
/// sixteen-number vectors in ascending order.
/// </para>
/// <para>
/// A header: three tables of 16 high bytes, the distance from here to the tile's whole units (8 bytes), 8 unused; from
/// <see cref="SlotsAt"/> on four bytes a unit, the first three naming for each output the whole unit to take instead (1 and up) or none (0).
/// A whole unit is 256 bytes: the 128 numbers as they were, in the order of the interleaved vectors.
/// </para>
/// </summary>
internal readonly struct PackedLayout
{
    /// <summary>Outputs multiplied at once.</summary>
    public const int TileOutputs = 3;

    /// <summary>Tiles that a slice goes over before the next: their lanes take 24 KB for eight rows.</summary>
    public const int ChunkTiles = 16;

    public const int ChunkOutputs = ChunkTiles * TileOutputs;

    /// <summary>Numbers of one output in a unit.</summary>
    public const int UnitNumbers = 128;

    public const int OutputUnitBytes = 192;

    public const int UnitBytes = TileOutputs * OutputUnitBytes;

    /// <summary>Numbers along K multiplied at once: eight rows of x take 16 KB and leave the first-level cache room for what is coming
    /// (measured: 1024 gains 2 % at eight rows where memory is slow, and loses 8 at four where it is fast).</summary>
    public const int Slice = 512;

    public const int WholeUnitBytes = UnitNumbers * sizeof(ushort);

    /// <summary>High bytes that a table tells apart.</summary>
    public const int TableLength = 16;

    public const int WholeUnitsAt = 48;

    public const int SlotsAt = 64;

    private const int SliceUnits = Slice / UnitNumbers;

    public PackedLayout(int outputs, int inputs)
    {
        Outputs = outputs;
        Units = inputs / UnitNumbers;
        Tiles = (outputs + TileOutputs - 1) / TileOutputs;
        HeaderBytes = (SlotsAt + (4 * Units) + 63) & ~63;
        TileBytes = HeaderBytes + ((long)Units * UnitBytes);
    }

    public int Outputs { get; }

    /// <summary>Units along K.</summary>
    public int Units { get; }

    public int Tiles { get; }

    public int HeaderBytes { get; }

    /// <summary>Bytes of a tile, its whole units apart.</summary>
    public long TileBytes { get; }

    public long Bytes => Tiles * TileBytes;

    /// <summary>Bytes of the matrix as it is stored.</summary>
    public long StoredBytes => (long)Outputs * Units * WholeUnitBytes;

    /// <summary>
    /// A matrix whose rows are whole units, and which is smaller so: one of a few rows is not, whose tiles are mostly empty, nor one of short
    /// rows, which headers outweigh.
    /// </summary>
    public static bool Fits(int outputs, int inputs)
    {
        var layout = new PackedLayout(outputs, inputs);
        return inputs % UnitNumbers == 0 && layout.Bytes < layout.StoredBytes;
    }

    /// <summary>Which of 64 numbers byte <paramref name="position"/> of low or high bytes belongs to.</summary>
    public static int NumberAt(int position)
    {
        int lane = (position / 16 * 4) + (position % 8 / 2);
        int group = (position % 16 / 8 * 2) + (position % 2);
        return (group * 16) + lane;
    }

    public long HeaderOffset(int tile)
    {
        int inChunk = tile % ChunkTiles;
        return ((tile - inChunk) * TileBytes) + (inChunk * (long)HeaderBytes);
    }

    /// <summary>Where a tile's units of the slice that holds <paramref name="unit"/> lie, from that unit on.</summary>
    public long DataOffset(int tile, int unit)
    {
        int inChunk = tile % ChunkTiles;
        int first = tile - inChunk;
        int tiles = Math.Min(ChunkTiles, Tiles - first);
        int inSlice = unit % SliceUnits;
        int slice = unit - inSlice;
        int units = Math.Min(SliceUnits, Units - slice);
        return (first * TileBytes) + (tiles * (HeaderBytes + ((long)slice * UnitBytes))) + ((((long)inChunk * units) + inSlice) * UnitBytes);
    }
}
