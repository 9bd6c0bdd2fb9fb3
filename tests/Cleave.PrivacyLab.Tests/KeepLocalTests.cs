using Cleave.Inference.Privacy.KeepLocal;

namespace Cleave.PrivacyLab.Tests;

/// <summary>What the built-in rules keep on this machine, and what they let go.</summary>
public sealed class KeepLocalTests
{
    [Theory]
    [InlineData("email", "write to jane.doe+news@mail.example.co.uk today")]
    [InlineData("phone", "call +49 30 901820 after six")]
    [InlineData("phone", "(212) 555-0123 is the desk")]
    [InlineData("phone", "0044 20 7946 0958")]
    [InlineData("card", "pay with 4111 1111 1111 1111, please")]
    [InlineData("card", "qty 2 5500-0000-0000-0004")]
    [InlineData("card", "378282246310005")]
    [InlineData("iban", "to DE89 3704 0044 0532 0130 00 by Friday")]
    [InlineData("iban", "GB82WEST12345698765432")]
    [InlineData("key", "-----BEGIN OPENSSH PRIVATE KEY-----")]
    [InlineData("key", "AKIAIOSFODNN7EXAMPLE")]
    [InlineData("key", "password: hunter2hunter2hunter2")]
    [InlineData("/project [A-Z]+/", "about project FALCON")]
    public void WhatMatchesIsKept(string rule, string text)
    {
        Assert.Equal(rule, KeepLocalRules.Parse(rule).Reason(text));
        Assert.NotNull(KeepLocalRules.Parse("all,/project [A-Z]+/").Reason(text));
    }

    [Theory]
    [InlineData("email", "meet me @ noon, or at example.com")]
    [InlineData("phone", "born 1999-12-31, 14 of 200 pages")]
    [InlineData("phone", "version 10.0.401")]
    [InlineData("card", "4111 1111 1111 1112 fails Luhn")]
    [InlineData("card", "0000 0000 0000 0000")]
    [InlineData("iban", "DE88 3704 0044 0532 0130 00 fails modulo 97")]
    [InlineData("key", "the password is short")]
    [InlineData("/project [A-Z]+/", "a project of ours")]
    public void WhatDoesNotMatchMayGo(string rule, string text) => Assert.Null(KeepLocalRules.Parse(rule).Reason(text));

    [Fact]
    public void EveryOneDigitErrorOfACardOrAnIbanIsSeen()
    {
        // Luhn and modulo 97 catch all of them: the rule must too.
        KeepLocalRules rules = KeepLocalRules.Parse("card,iban");
        foreach (string number in (string[])["4111111111111111", "DE89370400440532013000"])
        {
            for (int at = 0; at < number.Length; at++)
            {
                if (char.IsAsciiDigit(number[at]))
                {
                    char other = (char)('0' + ((number[at] - '0' + 1) % 10));
                    Assert.Null(rules.Reason(number[..at] + other + number[(at + 1)..]));
                }
            }
        }
    }

    [Theory]
    [InlineData("credit")]
    [InlineData("/(?=x)/")]
    [InlineData("")]
    public void ARuleThatIsNoneIsRefusedWithWhatIs(string text)
    {
        FormatException refused = Assert.Throws<FormatException>(() => KeepLocalRules.Parse(text));
        Assert.NotEmpty(refused.Message);
    }
}
