namespace Cleave.Cli.Benchmarking;

/// <summary>A decoder against sequential decoding, with one way of sampling over one link.</summary>
/// <param name="Decoder">The decoder.</param>
/// <param name="Sampling">How tokens were chosen.</param>
/// <param name="Link">What the link did meanwhile.</param>
/// <param name="Prompts">Prompts compared.</param>
/// <param name="Tokens">Tokens compared, each with the bits of its logits.</param>
/// <param name="Proposed">Draft rows sent.</param>
/// <param name="Accepted">Draft tokens that were right: without any, nothing was put to the test.</param>
/// <param name="TokensPerRoundTrip">Tokens per dependent round trip.</param>
/// <param name="Different">Prompts whose tokens or logits differ in anything.</param>
internal sealed record IdentityResult(
    string Decoder, string Sampling, string Link, int Prompts, long Tokens, long Proposed, long Accepted, double TokensPerRoundTrip, int Different);
