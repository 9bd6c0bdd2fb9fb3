namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Runs statements.</summary>
internal sealed class Interpreter
{
    private readonly Budget _budget;
    private readonly Evaluator _evaluator;

    public Interpreter(Budget budget)
    {
        _budget = budget;
        _evaluator = new Evaluator(budget);
    }

    private enum Flow
    {
        Next,
        Break,
        Continue,
    }

    /// <summary>The text a template's body makes.</summary>
    public TemplateText Render(Node[] body, Scope scope)
    {
        var output = new TemplateText.Builder(_budget);
        Run(body, scope, output);
        return output.Build();
    }

    private Flow Run(Node[] body, Scope scope, TemplateText.Builder output)
    {
        foreach (Node node in body)
        {
            Flow flow = RunLocated(node, scope, output);
            if (flow != Flow.Next)
            {
                return flow;
            }
        }

        return Flow.Next;
    }

    // The innermost statement's line goes into the message, once.
    private Flow RunLocated(Node node, Scope scope, TemplateText.Builder output)
    {
        try
        {
            _budget.Step();
            return Run(node, scope, output);
        }
        catch (ChatTemplateException e) when (!e.RaisedByTemplate && !e.Message.StartsWith("chat template, line", StringComparison.Ordinal))
        {
            throw new ChatTemplateException($"chat template, line {node.Line}: {e.Message}");
        }
    }

    private Flow Run(Node node, Scope scope, TemplateText.Builder output)
    {
        switch (node)
        {
            case TextNode text:
                output.Append(text.Text);
                return Flow.Next;
            case PrintNode print:
                output.Append(PythonText.Str(_evaluator.Evaluate(print.Value, scope), _budget));
                return Flow.Next;
            case IfNode branches:
                return RunIf(branches, scope, output);
            case ForNode loop:
                RunFor(loop, _evaluator.Evaluate(loop.Items, scope), scope, output, depth: 0);
                return Flow.Next;
            case SetNode set:
                Assign(set.Target, _evaluator.Evaluate(set.Value, scope), scope);
                return Flow.Next;
            case SetBlockNode set:
                Assign(set.Target, Filtered(Render(set.Body, new Scope(scope)), set.Filters, scope), scope);
                return Flow.Next;
            case FilterNode filter:
                output.Append(PythonText.Str(Filtered(Render(filter.Body, new Scope(scope)), filter.Filters, scope), _budget));
                return Flow.Next;
            case WithNode with:
                var inner = new Scope(scope);
                foreach ((string name, Expression value) in with.Values)
                {
                    inner.Set(name, _evaluator.Evaluate(value, scope));
                }

                return Run(with.Body, inner, output);
            case MacroNode macro:
                scope.Set(macro.Name, MakeMacro(macro, scope));
                return Flow.Next;
            case CallNode call:
                var expression = (CallExpression)call.Call;
                object? made = _evaluator.Call(_evaluator.Evaluate(expression.Function, scope), expression.Arguments, scope, MakeMacro(call.Caller, scope));
                output.Append(PythonText.Str(made, _budget));
                return Flow.Next;
            case BreakNode:
                return Flow.Break;
            case ContinueNode:
                return Flow.Continue;
            default:
                throw new InvalidOperationException($"no execution for {node.GetType().Name}");
        }
    }

    private Flow RunIf(IfNode node, Scope scope, TemplateText.Builder output)
    {
        foreach ((Expression? condition, Node[] body) in node.Branches)
        {
            if (condition is null || Values.Truth(_evaluator.Evaluate(condition, scope)))
            {
                return Run(body, scope, output);
            }
        }

        return Flow.Next;
    }

    private void RunFor(ForNode loop, object? over, Scope scope, TemplateText.Builder output, int depth)
    {
        IReadOnlyList<object?> items = Values.Iterate(over, _budget);
        if (loop.Filter is not null)
        {
            items = [.. items.Where(item =>
            {
                var candidate = new Scope(scope);
                Assign(loop.Target, item, candidate);
                return Values.Truth(_evaluator.Evaluate(loop.Filter, candidate));
            })];
        }

        if (items.Count == 0)
        {
            Run(loop.Else, new Scope(scope), output);
            return;
        }

        var state = new LoopState(items, depth, _budget);
        if (loop.Recursive)
        {
            state.Recurse = new Function("loop", arguments =>
            {
                _budget.Enter();
                var text = new TemplateText.Builder(_budget);
                RunFor(loop, arguments.Required(0, "items"), scope, text, depth + 1);
                _budget.Leave();
                return text.Build();
            });
        }

        for (int i = 0; i < items.Count; i++)
        {
            _budget.Step();
            var iteration = new Scope(scope);
            state.Index = i;
            iteration.Set("loop", state);
            Assign(loop.Target, items[i], iteration);
            if (Run(loop.Body, iteration, output) == Flow.Break)
            {
                break;
            }
        }
    }

    private object? Filtered(TemplateText text, IReadOnlyList<FilterCall> filters, Scope scope) =>
        filters.Aggregate((object?)text, (value, filter) => _evaluator.Filter(value, filter, scope));

    private void Assign(Target target, object? value, Scope scope)
    {
        switch (target)
        {
            case NameTarget name:
                scope.Set(name.Name, value);
                break;
            case MemberTarget member:
                if (scope.Find(member.Namespace) is not Namespace space)
                {
                    throw new ChatTemplateException($"'{member.Namespace}' is no namespace, so '{member.Member}' cannot be set on it");
                }

                space[member.Member] = value;
                break;
            case TupleTarget tuple:
                IReadOnlyList<object?> items = Values.Iterate(value, _budget);
                if (items.Count != tuple.Items.Length)
                {
                    throw new ChatTemplateException($"{items.Count} values cannot be unpacked into {tuple.Items.Length} names");
                }

                for (int i = 0; i < items.Count; i++)
                {
                    Assign(tuple.Items[i], items[i], scope);
                }

                break;
        }
    }

    private Function MakeMacro(MacroNode macro, Scope definedIn) => new(macro.Name, arguments =>
    {
        _budget.Enter();
        var scope = new Scope(definedIn);
        for (int i = 0; i < macro.Parameters.Length; i++)
        {
            (string name, Expression? fallback) = macro.Parameters[i];
            scope.Set(name, arguments.Try(i, name, out object? value) ? value
                : fallback is null ? new Undefined(name)
                : _evaluator.Evaluate(fallback, scope));
        }

        if (arguments.TryNamed("caller", out object? caller))
        {
            scope.Set("caller", caller);
        }

        TemplateText text = Render(macro.Body, scope);
        _budget.Leave();
        return text;
    });
}
