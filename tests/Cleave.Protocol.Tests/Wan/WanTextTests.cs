using Cleave.Protocol.Wan;

namespace Cleave.Protocol.Tests.Wan;

public sealed class WanTextTests
{
    [Theory]
    [InlineData("80ms", 80)]
    [InlineData("0.5s", 500)]
    [InlineData("2m", 120_000)]
    [InlineData("250us", 0.25)]
    [InlineData("0", 0)]
    [InlineData(" 20MS ", 20)]
    public void DurationsAreReadWithTheirUnit(string text, double milliseconds) =>
        Assert.Equal(milliseconds, DurationText.Parse(text).TotalMilliseconds);

    [Theory]
    [InlineData("100mbit", 100e6)]
    [InlineData("1gbit", 1e9)]
    [InlineData("1.5Mbit", 1.5e6)]
    [InlineData("512kbit", 512e3)]
    [InlineData("unlimited", 0)]
    [InlineData("-", 0)]
    public void BandwidthsAreReadWithTheirUnit(string text, double bitsPerSecond) =>
        Assert.Equal(bitsPerSecond, BandwidthText.Parse(text));

    [Theory]
    [InlineData("80")]
    [InlineData("")]
    [InlineData("-5ms")]
    [InlineData("ms")]
    [InlineData("1e3ms")]
    [InlineData("25h")]
    [InlineData("NaNms")]
    [InlineData(null)]
    public void BadDurationsAreRefusedWithAnExample(string? text) =>
        Assert.Contains("80ms", Assert.Throws<FormatException>(() => DurationText.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("100")]
    [InlineData("-1mbit")]
    [InlineData("0.1kbit")]
    [InlineData("mbit")]
    [InlineData(null)]
    public void BadBandwidthsAreRefusedWithAnExample(string? text) =>
        Assert.Contains("100mbit", Assert.Throws<FormatException>(() => BandwidthText.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void AnyNumberOfMillisecondsSurvivesARoundTrip() =>
        Gen.Int[0, 86_400_000].Sample(ms => DurationText.Parse(FormattableString.Invariant($"{ms}ms")) == TimeSpan.FromMilliseconds(ms));

    [Fact]
    public void ALinkIsReadInOneWord()
    {
        WanOptions link = WanOptions.Parse("80ms,20mbit,100mbit");
        Assert.Equal((80, 20e6, 100e6), (link.Rtt.TotalMilliseconds, link.UpBitsPerSecond, link.DownBitsPerSecond));
        Assert.Equal(0, WanOptions.Parse("80ms").UpBitsPerSecond);
        Assert.Throws<FormatException>(() => WanOptions.Parse("80ms,1mbit,1mbit,1mbit"));
        Assert.Throws<FormatException>(() => WanOptions.Parse("80ms,fast"));
    }

    [Fact]
    public void ACutSaysWhenAndForHowLong()
    {
        Assert.Equal(new WanCut(TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(2)), WanCut.Parse("30s:2s"));
        Assert.Throws<FormatException>(() => WanCut.Parse("30s"));
    }
}
