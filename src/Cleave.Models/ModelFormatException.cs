namespace Cleave.Models;

/// <summary>A model file is malformed or of a kind that is not supported. The message names the file, the value and the remedy.</summary>
public sealed class ModelFormatException : Exception
{
    public ModelFormatException(string message)
        : base(message)
    {
    }

    public ModelFormatException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
