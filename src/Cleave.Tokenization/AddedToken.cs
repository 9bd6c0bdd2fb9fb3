namespace Cleave.Tokenization;

/// <summary>A token that text is searched for before anything else (Hugging Face's added tokens).</summary>
/// <param name="Id">Its id.</param>
/// <param name="Text">Its text.</param>
/// <param name="Control">True when it steers the model; false when it is text that is always one token.</param>
/// <param name="StripLeft">True when it swallows white space before it.</param>
/// <param name="StripRight">True when it swallows white space after it.</param>
public sealed record AddedToken(int Id, string Text, bool Control, bool StripLeft = false, bool StripRight = false);
