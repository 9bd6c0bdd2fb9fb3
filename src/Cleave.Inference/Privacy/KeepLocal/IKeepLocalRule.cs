namespace Cleave.Inference.Privacy.KeepLocal;

/// <summary>One reason to keep a text on this machine.</summary>
public interface IKeepLocalRule
{
    /// <summary>What to call it in messages: "card", "/regex/".</summary>
    string Name { get; }

    /// <summary>True when the text holds what the rule looks for.</summary>
    bool Matches(string text);
}
