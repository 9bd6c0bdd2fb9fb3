using System.IO.Compression;

namespace Cleave.Inference.Tests.Verification;

/// <summary>The reference checkpoints, whose weights are kept packed.</summary>
internal static class PackedModels
{
    private const string WeightsName = "model.safetensors";

    private static readonly Lock s_unpacking = new();

    /// <summary>The folder of a checkpoint, its weights unpacked.</summary>
    public static string Folder(string name)
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "fixtures", "models", name);
        string weights = Path.Combine(folder, WeightsName);
        string packed = weights + ".br";
        lock (s_unpacking)
        {
            if (File.Exists(packed) && (!File.Exists(weights) || File.GetLastWriteTimeUtc(weights) < File.GetLastWriteTimeUtc(packed)))
            {
                // Another run of the tests may want the same file.
                string unfinished = $"{weights}.{Guid.NewGuid():N}";
                using (FileStream source = File.OpenRead(packed))
                using (var unpacked = new BrotliStream(source, CompressionMode.Decompress))
                using (FileStream file = File.Create(unfinished))
                {
                    unpacked.CopyTo(file);
                }

                File.Move(unfinished, weights, overwrite: true);
            }
        }

        return folder;
    }
}
