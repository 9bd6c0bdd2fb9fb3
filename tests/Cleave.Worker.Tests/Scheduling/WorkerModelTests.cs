using Cleave.Compute;
using Cleave.Models;
using Cleave.Worker.Scheduling;
using Cleave.Worker.Tests.Support;

namespace Cleave.Worker.Tests.Scheduling;

public sealed class WorkerModelTests
{
    [Fact]
    public void Only_the_layers_own_tensors_are_opened()
    {
        using var device = new CpuDevice(threads: 1);
        var source = new WatchedSource(ModelSource.Open(Repository.Demo));
        using (WorkerModel model = WorkerModel.Load(source, device, new LayerRange(5, 7), 64))
        {
            Assert.Equal([5, 6], source.LayersRead.Order());
            Assert.False(source.EndsRead);
            Assert.Equal(2, model.LayerHashes.Count);
            Assert.Contains("also contains the embedding", model.Notice);
            Assert.Contains($"cleave export --model {Repository.Demo} --layers 5..7 --out ", model.Notice);
        }

        Assert.True(source.Disposed);
    }

    [Fact]
    public void A_middle_only_file_serves_the_same_layers_and_gives_no_notice()
    {
        string file = Path.Combine(Path.GetTempPath(), $"cleave-{Guid.NewGuid():N}.gguf");
        try
        {
            using var device = new CpuDevice(threads: 1);
            using IModelSource whole = ModelSource.Open(Repository.Demo);
            MiddleExport.Write(whole, new LayerRange(5, 7), file, cancellationToken: TestContext.Current.CancellationToken);
            using WorkerModel middle = WorkerModel.Load(ModelSource.Open(file), device, null, 64);
            Assert.Equal(new LayerRange(5, 7), middle.Stack.Range);
            Assert.Null(middle.Notice);
            Assert.Equal(LayerHash.Compute(whole, 6), middle.LayerHashes[1]);
            Assert.Throws<ModelFormatException>(() => WorkerModel.Load(ModelSource.Open(file), device, new LayerRange(4, 7), 64));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task The_description_says_what_the_worker_is()
    {
        await using var worker = new TestWorker();
        Protocol.WorkerDescription description = await worker.Link().DescribeAsync(TestContext.Current.CancellationToken);
        Assert.Equal((5, 7, 384), (description.LayerStart, description.LayerEnd, description.HiddenSize));
        Assert.Equal(worker.Model.LayerHashes, description.LayerHashes);
        Assert.Equal("llama", description.Architecture);
        Assert.Equal(worker.Model.Stack.Device.Fingerprint, description.KernelFingerprint);
        Assert.Equal(4096, description.Load.KvTokensTotal);
        Assert.Single(description.Notices);
    }

    private sealed class WatchedSource(IModelSource inner) : IModelSource
    {
        public HashSet<int> LayersRead { get; } = [];

        public bool EndsRead { get; private set; }

        public bool Disposed { get; private set; }

        public string Path => inner.Path;

        public ModelConfig Config => inner.Config;

        public LayerRange Layers => inner.Layers;

        public bool HasEnds => inner.HasEnds;

        public string LoadTransform => inner.LoadTransform;

        public TensorData? Layer(int layer, LayerTensor tensor)
        {
            LayersRead.Add(layer);
            return inner.Layer(layer, tensor);
        }

        public TensorData Expert(int layer, int expert, LayerTensor tensor)
        {
            LayersRead.Add(layer);
            return inner.Expert(layer, expert, tensor);
        }

        public TensorData End(EndTensor tensor)
        {
            EndsRead = true;
            return inner.End(tensor);
        }

        public void Dispose()
        {
            Disposed = true;
            inner.Dispose();
        }
    }
}
