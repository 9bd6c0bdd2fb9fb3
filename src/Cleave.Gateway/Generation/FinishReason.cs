namespace Cleave.Gateway.Generation;

/// <summary>Why an answer ended.</summary>
internal enum FinishReason
{
    /// <summary>The model ended its turn, or a stop sequence came.</summary>
    Stop,

    /// <summary>The token limit, or the model's context, ended it.</summary>
    Length,
}
