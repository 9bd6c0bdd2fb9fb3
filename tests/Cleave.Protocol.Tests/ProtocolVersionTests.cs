namespace Cleave.Protocol.Tests;

public sealed class ProtocolVersionTests
{
    [Theory]
    [InlineData(1, 1, 1, 1)]
    [InlineData(5, 1, 3, 3)]
    [InlineData(2, 1, 3, 2)]
    public void The_lower_of_the_two_highest_is_in_force(int peer, int lowest, int highest, int expected)
    {
        Assert.True(ProtocolVersion.TryNegotiate((ushort)peer, (ushort)lowest, (ushort)highest, out ushort version, out WireError? error));
        Assert.Equal(expected, version);
        Assert.Null(error);
    }

    [Fact]
    public void A_peer_that_is_too_old_is_refused_by_name()
    {
        Assert.False(ProtocolVersion.TryNegotiate(1, 2, 3, out _, out WireError? error));
        Assert.Equal(WireErrorCode.UnsupportedVersion, error!.Code);
        Assert.Contains("2 to 3", error.Message);
        Assert.Contains("at most 1", error.Message);
    }
}
