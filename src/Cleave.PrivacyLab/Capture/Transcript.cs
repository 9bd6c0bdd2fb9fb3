using Cleave.PrivacyLab.Corpus;

namespace Cleave.PrivacyLab.Capture;

/// <summary>A worker's view of one document's session, and the truth about it, which no attack is given.</summary>
public sealed class Transcript
{
    /// <summary>The text that was run.</summary>
    public required CorpusDocument Document { get; init; }

    /// <summary>What the worker saw.</summary>
    public required WorkerView View { get; init; }

    /// <summary>Token of each row of the view.</summary>
    public required int[] Tokens { get; init; }

    /// <summary>Why each row was sent.</summary>
    public required RowKind[] Kinds { get; init; }

    /// <summary>The token the model emitted after each row; -1 where the verdict did not visit the row.</summary>
    public required int[] Emitted { get; init; }

    /// <summary>Rows in a prompt or an output whose token an attacker does not know beforehand: all but the first (BOS).</summary>
    public IEnumerable<int> InputRows()
    {
        for (int row = 0; row < Tokens.Length; row++)
        {
            if (View.Rows[row].Position > 0)
            {
                yield return row;
            }
        }
    }

    /// <summary>Rows after which the model emitted a token.</summary>
    public IEnumerable<int> OutputRows()
    {
        for (int row = 0; row < Emitted.Length; row++)
        {
            if (Emitted[row] >= 0)
            {
                yield return row;
            }
        }
    }
}
