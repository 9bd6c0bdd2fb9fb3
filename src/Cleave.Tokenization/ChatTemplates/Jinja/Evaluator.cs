namespace Cleave.Tokenization.ChatTemplates.Jinja;

/// <summary>Values of expressions.</summary>
internal sealed class Evaluator(Budget budget)
{
    public Budget Budget => budget;

    public object? Evaluate(Expression expression, Scope scope)
    {
        budget.Step();
        return expression switch
        {
            Literal literal => literal.Value,
            NameReference name => scope.Find(name.Name),
            ListExpression list => List(list, scope),
            DictionaryExpression map => Dictionary(map, scope),
            MemberExpression member => Members.Get(Evaluate(member.Of, scope), member.Name, budget),
            IndexExpression index => Members.Index(Evaluate(index.Of, scope), Evaluate(index.Index, scope), budget),
            SliceExpression slice => Slice(slice, scope),
            CallExpression call => Call(Evaluate(call.Function, scope), call.Arguments, scope),
            FilterCall filter => Filter(Evaluate(filter.Of!, scope), filter, scope),
            TestCall test => Test(test, scope),
            UnaryExpression unary => Unary(unary.Operator, Evaluate(unary.Of, scope)),
            BinaryExpression { Operator: "and" } and => Evaluate(and.Left, scope) is var left && Values.Truth(left) ? Evaluate(and.Right, scope) : left,
            BinaryExpression { Operator: "or" } or => Evaluate(or.Left, scope) is var left && Values.Truth(left) ? left : Evaluate(or.Right, scope),
            BinaryExpression binary => Operators.Apply(binary.Operator, Evaluate(binary.Left, scope), Evaluate(binary.Right, scope), budget),
            CompareExpression compare => Compare(compare, scope),
            ConditionalExpression choice => Choose(choice, scope),
            _ => throw new InvalidOperationException($"no evaluation for {expression.GetType().Name}"),
        };
    }

    /// <summary>Applies a filter to a value.</summary>
    public object? Filter(object? value, FilterCall filter, Scope scope)
    {
        Arguments arguments = Evaluate($"filter '{filter.Name}'", filter.Arguments, scope);
        object? result = Filters.Apply(filter.Name, value, arguments, budget);
        arguments.CheckAllTaken();
        return result;
    }

    public object? Call(object? function, CallArguments arguments, Scope scope, Function? caller = null)
    {
        if ((function is LoopState loop ? loop.Recurse : function) is not Function callee)
        {
            throw new ChatTemplateException($"{Values.TypeName(function)} cannot be called");
        }

        Arguments evaluated = Evaluate($"'{callee.Name}'", arguments, scope, caller);
        object? result = callee.Call(evaluated);
        evaluated.CheckAllTaken();
        return result;
    }

    private static object? Unary(string operation, object? value) => (operation, value) switch
    {
        ("not", _) => (object)!Values.Truth(value),
        ("-", double d) => -d,
        ("-", long.MinValue) => throw new ChatTemplateException("a number is too large"),
        ("-", _) => -Values.ToLong(value),
        (_, double d) => d,
        _ => Values.ToLong(value),
    };

    private Arguments Evaluate(string callee, CallArguments arguments, Scope scope, Function? caller = null)
    {
        var named = new Dictionary<string, object?>(StringComparer.Ordinal);
        foreach ((string name, Expression value) in arguments.Named)
        {
            named[name] = Evaluate(value, scope);
        }

        if (caller is not null)
        {
            named["caller"] = caller;
        }

        return new Arguments(callee, [.. arguments.Positional.Select(argument => Evaluate(argument, scope))], named);
    }

    private List<object?> List(ListExpression expression, Scope scope)
    {
        List<object?> list = expression.IsTuple ? new Tuple() : new List<object?>();
        foreach (Expression item in expression.Items)
        {
            list.Add(Evaluate(item, scope));
        }

        return list;
    }

    private OrderedDictionary<object, object?> Dictionary(DictionaryExpression expression, Scope scope)
    {
        var map = new OrderedDictionary<object, object?>();
        foreach ((Expression key, Expression value) in expression.Items)
        {
            map[Values.ToKey(Evaluate(key, scope))] = Evaluate(value, scope);
        }

        return map;
    }

    private object Slice(SliceExpression slice, Scope scope)
    {
        object? of = Evaluate(slice.Of, scope);
        return Members.Slice(of, Bound(slice.Start), Bound(slice.Stop), Bound(slice.Step) ?? 1, budget);

        long? Bound(Expression? bound) => bound is null || Evaluate(bound, scope) is not { } value ? null : Values.ToLong(value);
    }

    private bool Test(TestCall test, Scope scope)
    {
        Arguments arguments = Evaluate($"test '{test.Name}'", test.Arguments, scope);
        bool result = Tests.Apply(test.Name, Evaluate(test.Of, scope), arguments, budget);
        arguments.CheckAllTaken();
        return result != test.Negated;
    }

    private bool Compare(CompareExpression compare, Scope scope)
    {
        object? left = Evaluate(compare.First, scope);
        foreach ((string operation, Expression other) in compare.Rest)
        {
            object? right = Evaluate(other, scope);
            if (!Operators.Holds(operation, left, right, budget))
            {
                return false;
            }

            left = right;
        }

        return true;
    }

    private object? Choose(ConditionalExpression choice, Scope scope) =>
        Values.Truth(Evaluate(choice.Condition, scope)) ? Evaluate(choice.Then, scope)
        : choice.Else is null ? new Undefined("else")
        : Evaluate(choice.Else, scope);
}
