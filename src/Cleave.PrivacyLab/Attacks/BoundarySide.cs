namespace Cleave.PrivacyLab.Attacks;

/// <summary>What an attack reads.</summary>
public enum BoundarySide
{
    /// <summary>Tokens sent, from activations entering the worker.</summary>
    Input,

    /// <summary>Tokens emitted, from activations leaving it.</summary>
    Output,

    /// <summary>A property of the session, from its shape, sizes or times.</summary>
    Session,
}
