using Cleave.PrivacyLab.Capture;
using Cleave.Protocol.Codec;

namespace Cleave.PrivacyLab.Attacks;

/// <summary>Reads rows and commits off a frame's size: a row takes much more than a kept id, so one division gives both.</summary>
internal static class SizeReader
{
    /// <summary>Rows of a step frame of this many bytes.</summary>
    public static int Rows(int bytes, int rowBytes) => (bytes - FrameCodec.StepHeaderBytes) / (FrameCodec.StepRowBytes + rowBytes);

    /// <summary>
    /// The prompt's length, as the network reads it: prompt frames follow each other without waiting for answers; the first frame whose answer
    /// came before the next was sent is the first decoding step, and its first row the prompt's last token.
    /// </summary>
    public static int PromptLength(WorkerView view)
    {
        int rowBytes = ActivationCodec.RowBytes(view.Wire, view.HiddenSize);
        int rows = 0;
        for (int i = 0; i + 1 < view.Steps.Length && view.Steps[i + 1].SentMs < view.Steps[i].AnsweredMs; i++)
        {
            rows += Rows(view.Steps[i].BytesUp, rowBytes);
        }

        return rows + 1;
    }

    /// <summary>True when the length read is the prompt's.</summary>
    public static bool ReadsPromptLength(Transcript transcript) =>
        PromptLength(transcript.View) == transcript.Kinds.Count(static kind => kind == RowKind.Prompt);
}
