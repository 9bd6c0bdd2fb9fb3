using Cleave.Protocol.Codec;
using Cleave.Protocol.Migration;

namespace Cleave.Protocol.Tests.Migration;

public sealed class MigrationPreambleTests
{
    private static readonly MigrationKey s_key = MigrationKey.TryParse(Convert.ToBase64String([.. Enumerable.Range(0, 32).Select(static i => (byte)i)]))!;

    [Fact]
    public void The_format_is_fixed()
    {
        byte[] bytes = new byte[MigrationPreamble.Bytes];
        new MigrationPreamble(s_key.IdOf(1), 0x0102030405060708, 9).Write(s_key, 1, bytes);

        // By another implementation of HMAC-SHA256: the labels of MigrationKey, the number, and what is claimed.
        Assert.Equal("636C7601" + "B2497E3D157B9C39459ECBE8DF93BF40", Convert.ToHexString(bytes.AsSpan(0, 20)));
        Assert.Equal("0807060504030201" + "0900000000000000", Convert.ToHexString(bytes.AsSpan(20, 16)));
        Assert.Equal("FEF765EA7B388288320BAA6F59F60B2AF0E1DD53537A55A7B8B0BE797ED15537", Convert.ToHexString(bytes.AsSpan(36)));
        byte[] answer = new byte[MigrationPreamble.AnswerBytes];
        MigrationPreamble.WriteAnswer(5, answer);
        Assert.Equal("636C7601" + "0500000000000000", Convert.ToHexString(answer));
    }

    [Fact]
    public void It_is_no_tls_record()
    {
        for (int first = 0; first < 256; first++)
        {
            Assert.Equal(first == 'c', MigrationPreamble.MayBegin((byte)first));
        }
    }

    [Fact]
    public void What_it_claims_reads_back_and_is_proved_by_its_key_and_number_alone()
    {
        byte[] bytes = new byte[MigrationPreamble.Bytes];
        var claim = new MigrationPreamble(s_key.IdOf(7), 123, 45);
        claim.Write(s_key, 7, bytes);
        Assert.True(MigrationPreamble.TryRead(bytes, out MigrationPreamble read));
        Assert.Equal(claim, read);
        Assert.True(MigrationPreamble.IsProved(bytes, s_key, 7));
        Assert.False(MigrationPreamble.IsProved(bytes, s_key, 6));
        Assert.False(MigrationPreamble.IsProved(bytes, s_key, 8));
        Assert.False(MigrationPreamble.IsProved(bytes, MigrationKey.Create(), 7));
        Assert.False(MigrationPreamble.IsProved(bytes.AsSpan(1), s_key, 7));
        for (int bit = 0; bit < 8 * bytes.Length; bit++)
        {
            byte[] wrong = [.. bytes];
            wrong[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.False(MigrationPreamble.IsProved(wrong, s_key, 7), $"bit {bit}");
        }
    }

    [Fact]
    public void Ids_do_not_tell_that_they_are_of_one_connection()
    {
        MigrationId[] ids = [.. Enumerable.Range(1, 1000).Select(static number => s_key.IdOf((ulong)number))];
        Assert.Equal(ids.Length, ids.Select(static id => id.Low).Distinct().Count());
        Assert.Equal(ids.Length, ids.Select(static id => id.High).Distinct().Count());

        // Nor does the proof of one give the id of the next.
        byte[] bytes = new byte[MigrationPreamble.Bytes];
        new MigrationPreamble(ids[0], 0, 0).Write(s_key, 1, bytes);
        byte[] next = new byte[MigrationKey.IdBytes];
        ids[1].Write(next);
        Assert.Equal(-1, bytes.AsSpan().IndexOf(next.AsSpan(0, 4)));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("AAAA")]
    [InlineData("not base64 at all, and of a good length...!")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public void What_is_no_key_is_none(string? text) => Assert.Null(MigrationKey.TryParse(text));

    [Fact]
    public void A_key_reads_back()
    {
        var key = MigrationKey.Create();
        Assert.Equal(key.IdOf(3), MigrationKey.TryParse(key.ToSecretString())!.IdOf(3));
    }

    [Fact]
    public void Any_bytes_at_all_are_read_or_refused()
    {
        var random = new Random(13);
        byte[] right = new byte[MigrationPreamble.Bytes];
        for (int i = 0; i < 200_000; i++)
        {
            byte[] bytes = new byte[random.Next(0, 100)];
            random.NextBytes(bytes);
            if (i % 2 == 0)
            {
                new MigrationPreamble(s_key.IdOf(1), i, i).Write(s_key, 1, right);
                bytes = [.. right];
                bytes[random.Next(bytes.Length)] = (byte)random.Next();
            }

            FrameFuzz.Preamble(bytes);
        }
    }
}
