using Cleave.Protocol.Pairing;

namespace Cleave.Protocol.Tests.Pairing;

public sealed class PairingLinkTests
{
    private const string Token = "SECRETSECRETSECRETSECQ";
    private static readonly byte[] s_fingerprint = [.. Enumerable.Range(0, 32).Select(i => (byte)(7 * i))];

    private static string Print => PairingLink.FormatFingerprint(s_fingerprint);

    [Theory]
    [InlineData("127.0.0.1", 7707, "127.0.0.1:7707")]
    [InlineData("worker.example", 443, "worker.example:443")]
    [InlineData("2001:db8::7", 7707, "[2001:db8::7]:7707")]
    [InlineData("::1", 1, "[::1]:1")]
    public void Reads_back(string host, int port, string address)
    {
        var link = new PairingLink(host, port, s_fingerprint, Token);
        Assert.Equal(address, link.Address);
        Assert.Equal($"cleave://{address}#{Print}:{Token}", link.ToSecretString());
        PairingLink read = PairingLink.Parse(link.ToSecretString());
        Assert.Equal(host, read.Host);
        Assert.Equal(port, read.Port);
        Assert.Equal(s_fingerprint, read.Fingerprint.ToArray());
        Assert.Equal(Token, read.Token);
    }

    [Fact]
    public void A_hexadecimal_fingerprint_and_stray_white_space_are_accepted() =>
        Assert.Equal(s_fingerprint, PairingLink.Parse($"  cleave://h:1#{Convert.ToHexString(s_fingerprint)}:{Token}\n").Fingerprint.ToArray());

    [Fact]
    public void Shown_in_messages_without_its_secret() =>
        Assert.Equal("cleave://h:1", new PairingLink("h", 1, s_fingerprint, Token).ToString());

    [Theory]
    [InlineData("", "does not start with cleave://")]
    [InlineData("https://h:1#F:T", "does not start with cleave://")]
    [InlineData("cleave://h:1", "no # with")]
    [InlineData("cleave://h#F:T", "'h' has no port")]
    [InlineData("cleave://h:0#F:T", "port '0'")]
    [InlineData("cleave://h:65536#F:T", "port '65536'")]
    [InlineData("cleave://h:-1#F:T", "port '-1'")]
    [InlineData("cleave://:1#F:T", "host name has 1 to 255")]
    [InlineData("cleave://a b:1#F:T", "neither a host name")]
    [InlineData("cleave://::1:1#F:T", "needs brackets")]
    [InlineData("cleave://[::1]#F:T", "has no port")]
    [InlineData("cleave://[h]:1#F:T", "no IPv6 address")]
    [InlineData("cleave://h:1#F", "no : between")]
    [InlineData("cleave://h:1#FF:T", "is not a SHA-256")]
    [InlineData("cleave://h:1#F:SECRETSECRETSECREQ", "bits")]
    [InlineData("cleave://h:1#F:SECRET SECRETSECRETSECR", "is not base64url")]
    [InlineData("cleave://h:1#F:", "has 0 bits")]
    public void A_malformed_link_is_refused_without_echoing_the_secret(string text, string expected)
    {
        // F stands for a good fingerprint.
        string link = text.Replace("#F:", $"#{Print}:");
        Assert.False(PairingLink.TryParse(link, out _, out string? problem));
        Assert.Contains(expected, problem);
        Assert.DoesNotContain("SECRET", problem);
        Assert.DoesNotContain(Print, problem);
        Assert.Equal(problem, Assert.Throws<FormatException>(() => PairingLink.Parse(link)).Message);
    }

    [Fact]
    public void A_new_token_has_256_bits_and_is_its_own()
    {
        Assert.Equal(43, PairingLink.NewToken().Length);
        Assert.NotEqual(PairingLink.NewToken(), PairingLink.NewToken());
    }

    [Fact]
    public void Is_found_in_a_file_the_environment_and_standard_input()
    {
        string text = new PairingLink("h", 1, s_fingerprint, Token).ToSecretString();
        string file = Path.GetTempFileName();
        string variable = "CLEAVE_TEST_LINK_" + Guid.NewGuid().ToString("N");
        try
        {
            File.WriteAllText(file, "\n" + text + "\n");
            Environment.SetEnvironmentVariable(variable, text);
            Assert.Equal(text, PairingLinkSource.Read("@" + file, TextReader.Null).ToSecretString());
            Assert.Equal(text, PairingLinkSource.Read("env:" + variable, TextReader.Null).ToSecretString());
            Assert.Equal(text, PairingLinkSource.Read("-", new StringReader(text + "\n")).ToSecretString());
            Assert.Equal(text, PairingLinkSource.Read(text, TextReader.Null).ToSecretString());
            Assert.Contains("no variable", Assert.Throws<FormatException>(() => PairingLinkSource.Read("env:CLEAVE_NOT_THERE", TextReader.Null)).Message);
            Assert.Contains("no file", Assert.Throws<FormatException>(() => PairingLinkSource.Read("@" + file + ".not", TextReader.Null)).Message);
            Assert.Contains("ended before", Assert.Throws<FormatException>(() => PairingLinkSource.Read("-", TextReader.Null)).Message);
            File.WriteAllText(file, "");
            Assert.Contains("is empty", Assert.Throws<FormatException>(() => PairingLinkSource.Read("@" + file, TextReader.Null)).Message);
        }
        finally
        {
            File.Delete(file);
            Environment.SetEnvironmentVariable(variable, null);
        }
    }
}
