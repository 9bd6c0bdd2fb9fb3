using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Cleave.Compute.Gpu.Cuda;
using Cleave.Compute.Gpu.Training;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;

namespace Cleave.Compute.Gpu.Tests;

/// <summary>What can be said of the CUDA kernels without a GPU: they compile to PTX, and their text is well formed.</summary>
public sealed partial class CudaTextTests
{
    [Theory]
    [InlineData(typeof(CudaRowKernels))]
    [InlineData(typeof(TrainingRows))]
    [InlineData(typeof(TileProduct))]
    public void Row_kernels_compile_for_cuda_and_take_structures_as_they_lie_in_memory(Type kernels)
    {
        using Context context = Context.Create(builder => builder.CPU(new CPUDevice(32, 4, 1)).Optimize(OptimizationLevel.O2));
        using var backend = new PTXBackend(context, new CudaCapabilityContext(CudaArchitecture.SM_90), CudaArchitecture.SM_90, CudaInstructionSet.ISA_80, null!);
        foreach (MethodInfo method in kernels.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly))
        {
            string text = ((PTXCompiledKernel)backend.Compile(EntryPointDescription.FromExplicitlyGroupedKernel(method), default)).PTXAssembly;
            if (Environment.GetEnvironmentVariable("PTX_DUMP") is { } folder)
            {
                File.WriteAllText(Path.Combine(folder, method.Name + ".ptx"), text);
            }

            int[] sizes = [.. ParameterSize().Matches(text[..text.IndexOf('{', StringComparison.Ordinal)]).Select(m => m.Groups[1].Success ? int.Parse(m.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) : 4)];
            int[] expected = [.. method.GetParameters().Select(p => p.ParameterType.Name.StartsWith("ArrayView", StringComparison.Ordinal) ? 16 : p.ParameterType.IsPrimitive ? 4 : Marshal.SizeOf(p.ParameterType))];
            Assert.Equal(expected, sizes);

            // An array or a structure that did not fit registers would be kept in memory of the thread's own.
            Assert.DoesNotContain(".local", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Ptx_kernels_declare_every_register_and_label_they_use()
    {
        var kernels = new List<Action<PtxText>>();
        foreach (ElementType type in new[] { ElementType.BF16, ElementType.F16, ElementType.Q8_0, ElementType.Q4_K })
        {
            foreach (bool gated in new[] { false, true })
            {
                kernels.AddRange(new[] { 1, 2, 4, 8 }.Select(tiles => (Action<PtxText>)(ptx => StreamProduct.Emit(ptx, type, tiles, gated))));
                kernels.AddRange(new[] { 1, 2 }.Select(norm => (Action<PtxText>)(ptx => StreamProduct.Emit(ptx, type, 1, gated, norm))));
                kernels.Add(ptx => BlockProduct.Emit(ptx, type, gated));
                kernels.Add(ptx => WarpgroupProduct.Emit(ptx, type, gated));
            }
        }

        foreach (bool half in new[] { false, true })
        {
            foreach (bool aligned in new[] { false, true })
            {
                kernels.AddRange(new[] { 1, 2 }.Select(passes => (Action<PtxText>)(ptx => RowNorm.Emit(ptx, passes, half, aligned))));
            }
        }

        foreach (int headDim in new[] { 64, 128 })
        {
            foreach (bool half in new[] { false, true })
            {
                kernels.Add(ptx => FlashAttention.Emit(ptx, headDim, half));
                kernels.Add(ptx => FlashAttention.EmitMerge(ptx, headDim, half));
            }
        }

        foreach (Action<PtxText> emit in kernels)
        {
            var ptx = new PtxText("sm_90a");
            emit(ptx);
            string text = Comment().Replace(ptx.ToString(), "");
            if (Environment.GetEnvironmentVariable("PTX_DUMP") is { } folder)
            {
                File.WriteAllText(Path.Combine(folder, Entry().Match(text).Groups[1].Value + ".ptx"), text);
            }

            Check(text);
        }
    }

    private static void Check(string text)
    {
        var declared = new Dictionary<string, string>();
        foreach (Match declaration in Declaration().Matches(text))
        {
            foreach (string part in declaration.Groups[2].Value.Split(','))
            {
                string name = part.Trim();
                Match counted = Counted().Match(name);
                string type = declaration.Groups[1].Value;
                if (counted.Success)
                {
                    for (int i = 0; i < int.Parse(counted.Groups[2].Value, System.Globalization.CultureInfo.InvariantCulture); i++)
                    {
                        Assert.True(declared.TryAdd(counted.Groups[1].Value + i, type), $"{counted.Groups[1].Value}{i} is declared twice");
                    }
                }
                else
                {
                    Assert.True(declared.TryAdd(name, type), $"{name} is declared twice");
                }
            }
        }

        var parameters = Parameter().Matches(text).Select(m => m.Groups[1].Value).ToHashSet();
        string[] labels = [.. Label().Matches(text).Select(m => m.Groups[1].Value)];
        Assert.Equal(labels.Length, labels.Distinct().Count());
        string body = Declaration().Replace(text[text.IndexOf('\n', text.IndexOf(".maxntid", StringComparison.Ordinal))..], "");
        body = Label().Replace(body, "");
        foreach (string statement in body.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            string line = statement.Trim('{', '}', '\n', ' ');
            if (line.Length == 0 || line.StartsWith('.'))
            {
                continue;
            }

            string guard = Guard().Match(line).Value;
            string rest = line[guard.Length..].TrimStart();
            int space = rest.IndexOf(' ', StringComparison.Ordinal);
            string operands = guard + " " + (space < 0 ? "" : rest[space..]);
            foreach (Match word in Word().Matches(operands))
            {
                string name = word.Value;
                Assert.True(
                    declared.ContainsKey(name) || parameters.Contains(name) || labels.Contains(name) || name == "dynamic" || Literal().IsMatch(name),
                    $"'{name}' in '{line}' is not declared");
            }

            // Widths: a 64-bit instruction names 64-bit registers, a 32-bit one 32-bit registers.
            Match operation = Width().Match(space < 0 ? rest : rest[..space]);
            if (operation.Success && !rest.StartsWith("mul.wide", StringComparison.Ordinal) && !rest.StartsWith("cvt", StringComparison.Ordinal) && !rest.StartsWith("ld", StringComparison.Ordinal)
                && !rest.StartsWith("st", StringComparison.Ordinal) && !rest.StartsWith("mbarrier", StringComparison.Ordinal) && !rest.StartsWith("setp", StringComparison.Ordinal)
                && !rest.StartsWith("selp", StringComparison.Ordinal) && !rest.StartsWith("mma", StringComparison.Ordinal) && !rest.StartsWith("mad.wide", StringComparison.Ordinal)
                && !rest.StartsWith("wgmma", StringComparison.Ordinal))
            {
                string width = operation.Groups[1].Value;
                foreach (Match word in Word().Matches(operands[guard.Length..]))
                {
                    if (declared.TryGetValue(word.Value, out string? type) && type is "b32" or "b64" or "f32")
                    {
                        Assert.True(type.EndsWith(width, StringComparison.Ordinal), $"'{word.Value}' of {type} in '{line}'");
                    }
                }
            }
        }
    }

    [GeneratedRegex(@"//[^\n]*")]
    private static partial Regex Comment();

    [GeneratedRegex(@"\.param \.(?:align \d+ \.b8 \w+\[(\d+)\]|\w+ \w+)")]
    private static partial Regex ParameterSize();

    [GeneratedRegex(@"\.entry (\w+)")]
    private static partial Regex Entry();

    [GeneratedRegex(@"\.reg \.(\w+) ([^;]+);")]
    private static partial Regex Declaration();

    [GeneratedRegex(@"^(\w+)<(\d+)>$")]
    private static partial Regex Counted();

    [GeneratedRegex(@"\.param \.\w+ (\w+)")]
    private static partial Regex Parameter();

    [GeneratedRegex(@"\b([A-Z][A-Z0-9_]*):(?!:)")]
    private static partial Regex Label();

    [GeneratedRegex(@"^@!?\w+")]
    private static partial Regex Guard();

    [GeneratedRegex(@"(?<![%\w.])[A-Za-z]\w*")]
    private static partial Regex Word();

    [GeneratedRegex(@"^(0[fx]?[0-9A-Fa-f]+|x[0-9a-fA-F]+|x)$")]
    private static partial Regex Literal();

    [GeneratedRegex(@"\.[bus](32|64)$")]
    private static partial Regex Width();
}
