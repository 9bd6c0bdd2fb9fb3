namespace Cleave.Models.Hub;

/// <summary>A model could not be fetched. The message names the repository or file, what the hub said, and the remedy.</summary>
public sealed class HubException : Exception
{
    public HubException(string message)
        : base(message)
    {
    }

    public HubException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
