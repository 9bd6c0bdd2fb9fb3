using System.Text;
using Cleave.Models.Gguf;

namespace Cleave.Models.Tests;

public sealed class MiddleExportTests
{
    [Fact]
    public void AnExportHoldsItsLayersAndNothingElse()
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("middle.gguf");
        using GgufModel whole = GgufModel.Open(Repository.Demo);
        var reports = new List<long>();
        MiddleExport.Write(whole, new LayerRange(3, 9), path, new Immediate(reports.Add));

        using IModelSource middle = ModelSource.Open(path);
        Assert.Equal(new LayerRange(3, 9), middle.Layers);
        Assert.False(middle.HasEnds);
        Assert.Equal(12, middle.Config.Layers);
        Assert.Equal(12288, middle.Config.VocabularySize);
        for (int layer = 3; layer < 9; layer++)
        {
            Assert.Equal(LayerHash.Compute(whole, layer), LayerHash.Compute(middle, layer));
        }

        Assert.Throws<ModelFormatException>(() => middle.Layer(2, LayerTensor.Query));
        Assert.Throws<ModelFormatException>(() => middle.Layer(9, LayerTensor.Query));
        Assert.Contains("trusted side", Assert.Throws<ModelFormatException>(() => middle.End(EndTensor.Embedding)).Message, StringComparison.Ordinal);
        Assert.Null(GgufTokenizer.Read(((GgufModel)middle).Metadata));
        Assert.Equal(["middle.gguf"], Directory.GetFiles(folder.Path).Select(Path.GetFileName));

        // Six of twelve layers of 1.67 MB each, against 25.5 MB with embedding and vocabulary.
        long bytes = new FileInfo(path).Length;
        Assert.InRange(bytes, reports[^1], reports[^1] + 8192);
        string header = Encoding.Latin1.GetString(File.ReadAllBytes(path).AsSpan(0, 8192));
        Assert.DoesNotContain("token", header, StringComparison.Ordinal);
        Assert.DoesNotContain("output_norm", header, StringComparison.Ordinal);
    }

    [Fact]
    public void AnExportCanBeExportedFurther()
    {
        using var folder = new TemporaryFolder();
        using GgufModel whole = GgufModel.Open(Repository.Draft);
        MiddleExport.Write(whole, new LayerRange(1, 3), folder.File("a.gguf"));
        using IModelSource first = ModelSource.Open(folder.File("a.gguf"));
        MiddleExport.Write(first, new LayerRange(2, 3), folder.File("b.gguf"));
        using IModelSource second = ModelSource.Open(folder.File("b.gguf"));
        Assert.Equal(LayerHash.Compute(whole, 2), LayerHash.Compute(second, 2));
        Assert.Throws<ModelFormatException>(() => MiddleExport.Write(first, new LayerRange(0, 2), folder.File("c.gguf")));
    }

    [Fact]
    public void WhatCannotBeWrittenLeavesNothing()
    {
        using var folder = new TemporaryFolder();
        using GgufModel model = GgufModel.Open(Repository.Draft);
        Assert.Throws<ModelFormatException>(() => MiddleExport.Write(model, new LayerRange(2, 4), folder.File("x.gguf")));
        Assert.Throws<ModelFormatException>(() => MiddleExport.Write(model, new LayerRange(2, 2), folder.File("x.gguf")));
        Assert.Throws<ModelFormatException>(() => MiddleExport.Write(model, new LayerRange(0, 1), Repository.Draft));
        Assert.ThrowsAny<IOException>(() => MiddleExport.Write(model, new LayerRange(0, 1), folder.File("absent/x.gguf")));

        using var stop = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() =>
            MiddleExport.Write(model, new LayerRange(0, 3), folder.File("x.gguf"), new Immediate(_ => stop.Cancel()), stop.Token));
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void HashesTellLayersAndTransformsApart()
    {
        using GgufModel model = GgufModel.Open(Repository.Draft);
        string[] hashes = [.. Enumerable.Range(0, 3).Select(layer => LayerHash.Compute(model, layer)), LayerHash.Compute(model, 0, "q8")];
        Assert.Equal(4, hashes.Distinct().Count());
        Assert.All(hashes, hash => Assert.Matches("^[0-9a-f]{64}$", hash));
        Assert.Equal(hashes[1], LayerHash.Compute(model, 1));
    }

    private sealed class Immediate(Action<long> report) : IProgress<long>
    {
        public void Report(long value) => report(value);
    }
}
