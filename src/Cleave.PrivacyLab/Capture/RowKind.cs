namespace Cleave.PrivacyLab.Capture;

/// <summary>Why a row was sent.</summary>
public enum RowKind
{
    /// <summary>A prompt token.</summary>
    Prompt,

    /// <summary>A generated token.</summary>
    Output,

    /// <summary>A guess that turned out wrong.</summary>
    Draft,
}
