namespace Cleave.Inference.Decoding;

/// <summary>Sees each token with the logits it was chosen from (log probabilities).</summary>
public interface ITokenObserver
{
    /// <summary>Called in output order. logits: [vocabulary], before penalties and filters, valid during the call.</summary>
    void OnToken(int token, ReadOnlySpan<float> logits);
}
