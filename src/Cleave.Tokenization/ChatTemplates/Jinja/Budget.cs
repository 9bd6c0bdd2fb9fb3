using System.Runtime.CompilerServices;

namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>What one rendering may spend. Real templates stay under a thousandth of it.</summary>
internal sealed class Budget
{
    /// <summary>Longest text any expression may make, in chars.</summary>
    public const int MaxText = 1 << 24;

    /// <summary>Most elements of a list any expression may make.</summary>
    public const int MaxElements = 1 << 20;

    private const int MaxDepth = 100;
    private int _steps = 1_500_000;
    private long _work = 1L << 28;
    private int _depth;

    /// <summary>Counts one evaluation.</summary>
    public void Step()
    {
        if (--_steps < 0)
        {
            throw new ChatTemplateException("the chat template takes too many steps");
        }

        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw new ChatTemplateException("the chat template is nested too deep");
        }
    }

    /// <summary>Counts chars or elements made; call before making them.</summary>
    public void Spend(long amount, int limit = MaxText)
    {
        _work -= amount;
        if (amount > limit || _work < 0)
        {
            throw new ChatTemplateException("the chat template makes too much text");
        }
    }

    /// <summary>Counts elements of a list made; each weighs as much as a few dozen chars.</summary>
    public void SpendElements(long count)
    {
        Spend(count, MaxElements);
        Spend(count * 31, int.MaxValue);
    }

    /// <summary>Enters a macro call or a recursive loop.</summary>
    public void Enter()
    {
        if (++_depth > MaxDepth)
        {
            throw new ChatTemplateException($"the chat template calls itself more than {MaxDepth} deep");
        }
    }

    /// <summary>Leaves it.</summary>
    public void Leave() => _depth--;
}
