using System.CommandLine;
using System.Globalization;
using Cleave.Cli.Running;
using Cleave.Inference.Privacy.KeepLocal;
using Cleave.Protocol.Shaping;

namespace Cleave.Cli.Arguments;

/// <summary>Measures of privacy and integrity beside the split itself.</summary>
internal sealed class PrivacyArguments
{
    private readonly Option<FrameShape> _shape = new("--fixed-shape")
    {
        HelpName = "ROWS:TICK[:FRAMES]",
        Description = "Frames of one size at a constant tick (16:90ms), a turn padded to FRAMES of them (default 32) or twice, four times as many: the network sees buckets, the worker everything. Costs bytes and speed",
        CustomParser = Parsed.With(FrameShape.Parse),
    };

    private readonly Option<KeepLocalRules> _keepLocal = new("--keep-local")
    {
        HelpName = "RULES",
        Description = $"Answer a conversation on this machine alone, all layers, once it matches: {string.Join(", ", KeepLocalRules.BuiltInNames)}, all, /regular expression/, @FILE; separated by commas. What no rule recognises is sent",
        CustomParser = Parsed.With(static text => KeepLocalRules.Parse(text ?? "")),
    };

    private readonly Option<double?> _noise = new("--noise")
    {
        HelpName = "EPSILON",
        Description = "Gaussian noise at the embedding, (EPSILON, 1e-6) per token sent. Changes the text; at usable settings an operator still reads much of it (docs/PRIVACY-STUDY.md)",
        CustomParser = Parsed.With(static text => Number(text, "--noise", static value => value > 0, "a number above 0") as double?),
    };

    private readonly Option<double?>? _audit;

    /// <param name="command">Gets the options.</param>
    /// <param name="audits">True when its conversations end, so that they can be audited.</param>
    public PrivacyArguments(Command command, bool audits)
    {
        command.Options.Add(_shape);
        command.Options.Add(_keepLocal);
        command.Options.Add(_noise);
        if (audits)
        {
            _audit = new Option<double?>("--audit")
            {
                HelpName = "P",
                Description = "With probability P, replay the conversation's middle layers here when it has ended and compare every state the worker returned",
                CustomParser = Parsed.With(static text => Number(text, "--audit", static value => value is >= 0 and <= 1, "a probability from 0 to 1") as double?),
            };
            command.Options.Add(_audit);
        }
    }

    /// <summary>Reads them.</summary>
    public PrivacySettings Read(ParseResult parsed) => new()
    {
        Shape = parsed.GetValue(_shape),
        KeepLocal = parsed.GetValue(_keepLocal),
        NoiseEpsilon = parsed.GetValue(_noise),
        AuditShare = _audit is null ? 0 : parsed.GetValue(_audit) ?? 0,
    };

    private static double Number(string? text, string option, Func<double, bool> isValid, string what) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value) && isValid(value)
            ? value
            : throw new FormatException($"{option} is '{text}'; it is {what}");
}
