namespace Cleave.PrivacyLab.Corpus;

/// <summary>Kinds of text the lab tells apart.</summary>
public enum CorpusDomain
{
    /// <summary>Books and manuals.</summary>
    General,

    /// <summary>C# and Python source.</summary>
    Code,

    /// <summary>Questions and answers about diseases.</summary>
    Medical,

    /// <summary>Dialogues between people, and sums told as stories.</summary>
    Conversation,
}
