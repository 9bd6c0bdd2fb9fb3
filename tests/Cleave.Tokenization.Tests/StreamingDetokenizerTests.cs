namespace Cleave.Tokenization.Tests;

public sealed class StreamingDetokenizerTests
{
    [Fact]
    public void PiecesJoinToTheWholeAndNeverHoldHalfACharacter() =>
        Gen.Select(DemoTokenizerTests.AnyText, Gen.Int[0, 12287].Array[0, 20]).Sample((text, noise) =>
        {
            int[] ids = [.. Repository.Demo.Encode(text, parseSpecial: true), .. noise];
            var stream = new StreamingDetokenizer(Repository.Demo);
            string joined = "";
            foreach (int id in ids)
            {
                string piece = stream.Append(id);
                Assert.False(piece.Length > 0 && (char.IsLowSurrogate(piece[0]) || char.IsHighSurrogate(piece[^1])));
                joined += piece;
            }

            Assert.Equal(Repository.Demo.Decode(ids), joined + stream.Flush());
        });

    [Fact]
    public void ACharacterAppearsWithItsLastByte()
    {
        int[] ids = Repository.Demo.Encode("\U0001F600", parseSpecial: false);
        Assert.True(ids.Length > 1);
        var stream = new StreamingDetokenizer(Repository.Demo);
        Assert.All(ids[..^1], id => Assert.Equal("", stream.Append(id)));
        Assert.Equal("\U0001F600", stream.Append(ids[^1]));
        Assert.Equal("", stream.Flush());
    }

    [Fact]
    public void ABrokenCharacterIsReplacedAtTheEnd()
    {
        int[] ids = Repository.Demo.Encode("\U0001F600", parseSpecial: false);
        var stream = new StreamingDetokenizer(Repository.Demo);
        stream.Append(ids[0]);
        Assert.Equal("\uFFFD", stream.Flush());
        Assert.Equal("", stream.Flush());
    }

    [Fact]
    public void ControlTokensCanBeLeftOut()
    {
        var stream = new StreamingDetokenizer(Repository.Demo, showControl: false);
        Assert.Equal("", stream.Append(3));
        Assert.Equal("<|end|>", new StreamingDetokenizer(Repository.Demo).Append(3));
    }
}
