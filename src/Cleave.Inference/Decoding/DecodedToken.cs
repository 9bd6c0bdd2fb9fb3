namespace Cleave.Inference.Decoding;

/// <summary>A token the verdict made certain.</summary>
/// <param name="Token">Its id.</param>
/// <param name="Drafted">True when a draft had guessed it and its row was already computed.</param>
/// <param name="Step">Decoding round trip that brought it, from 1.</param>
public readonly record struct DecodedToken(int Token, bool Drafted, int Step);
