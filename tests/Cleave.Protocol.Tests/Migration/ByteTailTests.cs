using Cleave.Protocol.Migration;

namespace Cleave.Protocol.Tests.Migration;

public sealed class ByteTailTests
{
    [Theory]
    [InlineData(1, 0)]
    [InlineData(64, 7)]
    [InlineData(5000, 0)]
    [InlineData(20_000, 1_000_003)]
    public void It_keeps_the_last_bytes_at_their_places(int most, long start)
    {
        var random = new Random(most);
        var tail = new ByteTail(most, start);
        var all = new List<byte>();
        for (int round = 0; round < 400; round++)
        {
            byte[] bytes = new byte[random.Next(0, round % 50 == 49 ? 3 * most : (most / 3) + 2)];
            random.NextBytes(bytes);
            tail.Append(bytes);
            all.AddRange(bytes);
            Assert.Equal(start + all.Count, tail.End);
            Assert.InRange(tail.Start, tail.End - most, tail.End);
            Assert.True(tail.Start == start || tail.End - tail.Start >= Math.Min(most, 4096), "nothing is forgotten before there is no room");
            long from = random.NextInt64(tail.Start, tail.End + 1);
            byte[] kept = new byte[tail.End - from];
            tail.CopyTo(from, kept);
            Assert.Equal(all[(int)(from - start)..], kept);
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => tail.CopyTo(tail.Start - 1, new byte[most + 1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => tail.CopyTo(tail.End + 1, []));
    }
}
