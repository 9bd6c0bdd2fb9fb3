using Cleave.Compute;
using Cleave.Inference;
using Cleave.Models;
using Cleave.Tokenization;

namespace Cleave.Gateway.Tests;

/// <summary>The bundled model.</summary>
internal static class DemoModel
{
    private static readonly Lazy<Tokenizer> SharedTokenizer = new(() =>
    {
        using IModelSource source = ModelSource.Open(Path);
        return TokenizerLoader.Load(source);
    });

    public static string Root { get; } = FindRoot();

    public static string Path => System.IO.Path.Combine(Root, "models", "cleave-demo-24m.q8_0.gguf");

    /// <summary>The draft model that goes with it.</summary>
    public static string DraftPath => System.IO.Path.Combine(Root, "models", "cleave-demo-draft-4m.q8_0.gguf");

    public static Tokenizer Tokenizer => SharedTokenizer.Value;

    /// <summary>The trusted side, cut or (null) unsplit.</summary>
    public static TrustedModel Load(Cut? cut, int kvTokens)
    {
        IModelSource source = ModelSource.Open(Path);
        return TrustedModel.Load(source, TokenizerLoader.Load(source), new CpuDevice(), cut, kvTokens);
    }

    private static string FindRoot()
    {
        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(at.FullName, "Cleave.slnx")))
            {
                return at.FullName;
            }
        }

        throw new DirectoryNotFoundException("Cleave.slnx not found above the test assembly");
    }
}
