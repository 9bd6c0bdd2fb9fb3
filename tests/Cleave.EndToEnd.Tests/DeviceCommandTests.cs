using System.Text.Json;

namespace Cleave.EndToEnd.Tests;

/// <summary>Devices on the command line: listed, chosen for each side, and refused with what there is.</summary>
public sealed class DeviceCommandTests
{
    private static readonly string Model = Path.Combine(Cli.RepositoryRoot, "models", "cleave-demo-draft-4m.q8_0.gguf");

    [Fact]
    public async Task The_CPU_is_always_listed()
    {
        JsonElement first = (await Cli.RunAsync("devices", "--json")).Expect(0).Json[0];
        Assert.Equal("cpu", first.GetProperty("name").GetString());
        Assert.True(first.GetProperty("memoryBytes").GetInt64() > 0);
        Assert.Contains("cpu", (await Cli.RunAsync("devices")).Expect(0).Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("emulated", "cpu")]
    [InlineData("cpu", "emulated")]
    public async Task Each_side_has_its_device_and_says_so(string device, string workerDevice)
    {
        CliResult result = await Cli.RunAsync(
            "run", "--model", Model, "--head", "1", "--tail", "1", "--prompt", "The cat", "-n", "2", "--no-stop", "--json",
            "--device", device, "--worker-device", workerDevice, "--decoder", "sequential");
        JsonElement json = result.Expect(0).Json;
        Assert.Equal(2, result.Tokens.Length);
        JsonElement used = json.GetProperty("device");
        Assert.Equal(device, used.GetProperty("name").GetString());
        Assert.True(used.GetProperty("bytes").GetInt64() > 0);
        Assert.Equal(device == "emulated", used.GetProperty("kernels").GetString()!.StartsWith("gpu-", StringComparison.Ordinal));
        Assert.Equal(workerDevice == "emulated", json.GetProperty("middleKernels").GetString()!.EndsWith("+kv-f16", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(2, "is not a device", "--device", "gpu")]
    [InlineData(2, "give stored|q8|packed", "--weights", "pack")]
    [InlineData(2, "give stored|q8|packed", "--weights", "2")]
    [InlineData(1, "Available: cpu", "--device", "opencl:99")]
    [InlineData(1, "--kv-tokens 4096", "--worker-device", "emulated:44")]
    public async Task A_device_or_weights_that_will_not_do_are_refused_with_what_would(int exitCode, string says, params string[] arguments)
    {
        CliResult result = (await Cli.RunAsync(["run", "--model", Model, "--head", "1", "--tail", "1", "--prompt", "x", .. arguments])).Expect(exitCode);
        Assert.Contains(says, result.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Too_little_memory_for_a_cut_names_the_one_that_fits()
    {
        JsonElement rows = (await Cli.RunAsync("inspect", "--json", "--head", "3", "--tail", "3")).Expect(0).Json.GetProperty("memory");
        long Needed(int head) => rows.EnumerateArray().First(row => row.GetProperty("head").GetInt32() == head).GetProperty("trustedBytes").GetInt64();
        string device = $"emulated:{(Needed(3) + Needed(4)) / 2_000_000}";
        CliResult result = (await Cli.RunAsync("run", "--head", "4", "--tail", "4", "--prompt", "x", "--device", device)).Expect(1);
        Assert.Contains("What would fit: ", result.Error, StringComparison.Ordinal);
        Assert.Contains("--head 3 --tail 3", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_reports_the_memory_of_each_side()
    {
        JsonElement json = (await Cli.RunAsync("inspect", "--json", "--context", "1024")).Expect(0).Json;
        JsonElement row = json.GetProperty("memory")[0];
        Assert.Equal((2, 2), (row.GetProperty("head").GetInt32(), row.GetProperty("tail").GetInt32()));
        Assert.True(row.GetProperty("trustedBytesWithEmbedding").GetInt64() > row.GetProperty("trustedBytes").GetInt64());

        // 8 of 12 layers, keys and values of 2 heads of 64 in two bytes.
        Assert.Equal(8 * 2 * 128 * 2 * 1024, row.GetProperty("workerKvPer1K").GetInt64());
    }
}
