namespace Cleave.Tokenization.ChatTemplates.Jinja;

// The syntax tree. Lines are for messages.

internal abstract record Node(int Line);

internal sealed record TextNode(int Line, TemplateText Text) : Node(Line);

internal sealed record PrintNode(int Line, Expression Value) : Node(Line);

internal sealed record IfNode(int Line, (Expression? Condition, Node[] Body)[] Branches) : Node(Line);

internal sealed record ForNode(
    int Line, Target Target, Expression Items, Expression? Filter, Node[] Body, Node[] Else, bool Recursive) : Node(Line);

internal sealed record SetNode(int Line, Target Target, Expression Value) : Node(Line);

internal sealed record SetBlockNode(int Line, Target Target, IReadOnlyList<FilterCall> Filters, Node[] Body) : Node(Line);

internal sealed record FilterNode(int Line, IReadOnlyList<FilterCall> Filters, Node[] Body) : Node(Line);

internal sealed record WithNode(int Line, (string Name, Expression Value)[] Values, Node[] Body) : Node(Line);

internal sealed record MacroNode(int Line, string Name, (string Name, Expression? Default)[] Parameters, Node[] Body) : Node(Line);

internal sealed record CallNode(int Line, Expression Call, MacroNode Caller) : Node(Line);

internal sealed record BreakNode(int Line) : Node(Line);

internal sealed record ContinueNode(int Line) : Node(Line);

internal abstract record Target;

internal sealed record NameTarget(string Name) : Target;

internal sealed record MemberTarget(string Namespace, string Member) : Target;

internal sealed record TupleTarget(Target[] Items) : Target;

internal abstract record Expression;

internal sealed record Literal(object? Value) : Expression;

internal sealed record NameReference(string Name) : Expression;

internal sealed record ListExpression(Expression[] Items, bool IsTuple) : Expression;

internal sealed record DictionaryExpression((Expression Key, Expression Value)[] Items) : Expression;

internal sealed record MemberExpression(Expression Of, string Name) : Expression;

internal sealed record IndexExpression(Expression Of, Expression Index) : Expression;

internal sealed record SliceExpression(Expression Of, Expression? Start, Expression? Stop, Expression? Step) : Expression;

internal sealed record CallExpression(Expression Function, CallArguments Arguments) : Expression;

/// <summary>A filter; <see cref="Of"/> is null in a block, where the block's text takes its place.</summary>
internal sealed record FilterCall(Expression? Of, string Name, CallArguments Arguments) : Expression;

internal sealed record TestCall(Expression Of, string Name, CallArguments Arguments, bool Negated) : Expression;

internal sealed record UnaryExpression(string Operator, Expression Of) : Expression;

internal sealed record BinaryExpression(string Operator, Expression Left, Expression Right) : Expression;

internal sealed record CompareExpression(Expression First, (string Operator, Expression Other)[] Rest) : Expression;

internal sealed record ConditionalExpression(Expression Condition, Expression Then, Expression? Else) : Expression;

/// <summary>Arguments as written.</summary>
internal sealed record CallArguments(Expression[] Positional, (string Name, Expression Value)[] Named)
{
    public static readonly CallArguments None = new([], []);
}
