namespace Cleave.PrivacyLab.Capture;

/// <summary>One step as the worker sees it.</summary>
/// <param name="FirstRow">Index of its first row in the view.</param>
/// <param name="Rows">Rows it carried.</param>
/// <param name="Kept">Rows committed before it ran.</param>
/// <param name="BytesUp">Bytes of the step frame.</param>
/// <param name="BytesDown">Bytes of the rows frame.</param>
/// <param name="SentMs">When it was sent, milliseconds since the session began.</param>
/// <param name="AnsweredMs">When its answer arrived.</param>
public readonly record struct ViewedStep(int FirstRow, int Rows, int Kept, int BytesUp, int BytesDown, double SentMs, double AnsweredMs);
