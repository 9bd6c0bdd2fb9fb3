using Cleave.Protocol.Links;

namespace Cleave.Inference.Tests.Survival;

/// <summary>A link that is lost at its tenth boundary, and a token cancelled at a moment after: the n-th boundary passed since, over it or over the spare.</summary>
internal sealed class MomentAfterLoss : IDisposable
{
    private readonly CancellationTokenSource _given = new();
    private readonly FaultyLink _dying;
    private readonly int _moment;
    private bool _isCounting;

    /// <param name="first">What is lost.</param>
    /// <param name="second">Another worker, which cannot be reached before and so is not picked first; used where <paramref name="losesWorker"/>.</param>
    /// <param name="losesWorker">True to lose the first worker, false to lose the stream.</param>
    /// <param name="moment">Counted from 1.</param>
    public MomentAfterLoss(ILink first, ILink second, bool losesWorker, int moment)
    {
        _moment = moment;
        var spare = new FaultyLink(second) { IsDead = true, Passed = Pass };
        _dying = new FaultyLink(first)
        {
            BreakAt = 10,
            KillsWorker = losesWorker,
            Passed = Pass,
            Killed = () =>
            {
                WasLost = _isCounting = true;
                spare.IsDead = false;
            },
        };
        Links = losesWorker ? [_dying, spare] : [_dying];
    }

    /// <summary>In the order to open a session with.</summary>
    public ILink[] Links { get; }

    /// <summary>True from the loss on.</summary>
    public bool WasLost { get; private set; }

    /// <summary>Boundaries passed since.</summary>
    public int Passed { get; private set; }

    /// <summary>Cancelled at the moment.</summary>
    public CancellationToken Token => _given.Token;

    /// <summary>From here on nothing counts. The first worker can be reached again, by whoever still has to tell it something.</summary>
    public void Forget()
    {
        _isCounting = false;
        _dying.IsDead = false;
    }

    public void Dispose() => _given.Dispose();

    private void Pass()
    {
        if (_isCounting && ++Passed == _moment)
        {
            _given.Cancel();
        }
    }
}
