using System.Globalization;
using Cleave.CheckpointWriter;
using Cleave.Models;

// cleave-checkpoint-writer SOURCE.gguf 7b|12b|tiny OUT.gguf: a checkpoint of that shape which computes SOURCE's function, in BF16.
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
if (args.Length != 3 || TargetShape.Named(args[1]) is not { } shape)
{
    Console.Error.WriteLine("usage: cleave-checkpoint-writer SOURCE.gguf 7b|12b|tiny OUT.gguf");
    return 2;
}

using IModelSource source = ModelSource.Open(args[0]);
var clock = System.Diagnostics.Stopwatch.StartNew();
int shown = -1;
new Checkpoint(args[0], source, shape).Write(args[2], done =>
{
    if ((int)(done * 10) > shown)
    {
        shown = (int)(done * 10);
        Console.Error.WriteLine($"{done:P0}  {clock.Elapsed.TotalSeconds:F0} s");
    }
});
Console.WriteLine($"{args[2]}: {new FileInfo(args[2]).Length / 1e9:F2} GB, {shape.Layers} layers, source layers at {string.Join(", ", Checkpoint.Spread(source.Config.Layers, shape.Layers))}");
return 0;
