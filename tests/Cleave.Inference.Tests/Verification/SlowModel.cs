using System.Text.Json.Nodes;

namespace Cleave.Inference.Tests.Verification;

/// <summary>
/// A decoder written for clarity alone, in double precision, straight from the families' published definitions: one token, one number at
/// a time, whole matrices of attention scores. It shares nothing with the product: it reads the checkpoint's own names and
/// configuration, and is itself checked against activations of Hugging Face transformers.
/// </summary>
internal sealed class SlowModel
{
    private readonly Checkpoint _checkpoint;
    private readonly JsonObject _config;
    private readonly Dictionary<string, double[]> _tensors = [];
    private readonly string _type;
    private readonly int _hidden;
    private readonly int _heads;
    private readonly int _kvHeads;
    private readonly int _headDim;
    private readonly double _epsilon;

    public SlowModel(Checkpoint checkpoint)
    {
        _checkpoint = checkpoint;
        _config = checkpoint.Config;
        _type = _config["model_type"]!.GetValue<string>();
        _hidden = Int("hidden_size")!.Value;
        _heads = Int("num_attention_heads")!.Value;
        _kvHeads = Int("num_key_value_heads") ?? _heads;
        _headDim = Int("head_dim") ?? _hidden / _heads;
        _epsilon = Number("rms_norm_eps") ?? 1e-6;
    }

    public int Layers => Int("num_hidden_layers")!.Value;

    private bool IsGemma => _type.StartsWith("gemma", StringComparison.Ordinal);

    /// <summary>Outputs of every layer, and logits, by token.</summary>
    public (double[][][] Layers, double[][] Logits) Forward(IReadOnlyList<int> ids)
    {
        double[] embedding = Tensor("model.embed_tokens.weight")!;
        double scale = IsGemma ? Math.Sqrt(_hidden) : Number("embedding_multiplier") ?? 1;
        double[][] x = [.. ids.Select(id => Scaled(embedding.AsSpan(id * _hidden, _hidden).ToArray(), scale))];
        var layers = new double[Layers][][];
        for (int layer = 0; layer < Layers; layer++)
        {
            Layer(layer, x);
            layers[layer] = [.. x.Select(static row => (double[])row.Clone())];
        }

        bool tied = _config["tie_word_embeddings"]?.GetValue<bool>() ?? (IsGemma || _type == "smollm3");
        string head = tied ? "model.embed_tokens.weight" : "lm_head.weight";
        double cap = Number("final_logit_softcapping") ?? 0;
        double[][] logits = [.. x.Select(row => Scaled(Product(head, Norm(row, "model.norm.weight")), 1 / (Number("logits_scaling") ?? 1)))];
        return (layers, [.. logits.Select(row => cap > 0 ? [.. row.Select(logit => cap * Math.Tanh(logit / cap))] : row)]);
    }

    private void Layer(int layer, double[][] x)
    {
        string p = $"model.layers.{layer}.";
        double residual = Number("residual_multiplier") ?? 1;
        bool post = IsGemma || _type == "olmo2";
        bool pre = _type != "olmo2";

        double[][] branch = Attention(layer, [.. x.Select(row => pre ? Norm(row, p + "input_layernorm.weight") : row)]);
        for (int t = 0; t < x.Length; t++)
        {
            Add(x[t], post ? Norm(branch[t], p + "post_attention_layernorm.weight") : branch[t], residual);
            double[] input = !pre ? x[t] : Norm(x[t], p + (IsGemma ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight"));
            double[] output = FeedForward(layer, input);
            Add(x[t], post ? Norm(output, p + "post_feedforward_layernorm.weight") : output, residual);
        }
    }

    private double[][] Attention(int layer, double[][] x)
    {
        string p = $"model.layers.{layer}.self_attn.";
        int q = _heads * _headDim;
        int kv = _kvHeads * _headDim;
        int window = Window(layer);
        var queries = new double[x.Length][];
        var keys = new double[x.Length][];
        var values = new double[x.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            if (Tensor(p + "qkv_proj.weight") is not null)
            {
                double[] fused = Product(p + "qkv_proj.weight", x[t]);
                (queries[t], keys[t], values[t]) = (fused[..q], fused[q..(q + kv)], fused[(q + kv)..]);
            }
            else
            {
                (queries[t], keys[t], values[t]) = (Linear(p + "q_proj", x[t]), Linear(p + "k_proj", x[t]), Linear(p + "v_proj", x[t]));
            }

            queries[t] = Rotated(HeadNorm(queries[t], p + "q_norm.weight"), layer, t, window > 0);
            keys[t] = Rotated(HeadNorm(keys[t], p + "k_norm.weight"), layer, t, window > 0);
        }

        double scale = Number("attention_multiplier") ?? 1 / Math.Sqrt(IsGemma ? Number("query_pre_attn_scalar") ?? 256 : _headDim);
        double cap = Number("attn_logit_softcapping") ?? 0;
        var outputs = new double[x.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            double[] mixed = new double[q];
            for (int head = 0; head < _heads; head++)
            {
                int own = head * _headDim;
                int shared = head / (_heads / _kvHeads) * _headDim;
                int first = window > 0 ? Math.Max(0, t - window + 1) : 0;
                double[] scores = new double[t + 1];
                for (int s = first; s <= t; s++)
                {
                    double dot = 0;
                    for (int i = 0; i < _headDim; i++)
                    {
                        dot += queries[t][own + i] * keys[s][shared + i];
                    }

                    scores[s] = cap > 0 ? cap * Math.Tanh(dot * scale / cap) : dot * scale;
                }

                double max = scores.Skip(first).Max();
                double sum = scores.Skip(first).Sum(score => Math.Exp(score - max));
                for (int s = first; s <= t; s++)
                {
                    double weight = Math.Exp(scores[s] - max) / sum;
                    for (int i = 0; i < _headDim; i++)
                    {
                        mixed[own + i] += weight * values[s][shared + i];
                    }
                }
            }

            outputs[t] = Linear(p + "o_proj", mixed);
        }

        return outputs;
    }

    private double[] FeedForward(int layer, double[] x)
    {
        string p = $"model.layers.{layer}.";
        bool mixtral = _type == "mixtral";
        string router = p + (mixtral ? "block_sparse_moe.gate.weight" : "mlp.gate.weight");
        if (Tensor(router) is null)
        {
            if (Tensor(p + "mlp.gate_up_proj.weight") is null)
            {
                return Gated(x, p + "mlp.gate_proj", p + "mlp.up_proj", p + "mlp.down_proj");
            }

            double[] fused = Product(p + "mlp.gate_up_proj.weight", x);
            return Product(p + "mlp.down_proj.weight", [.. fused[..(fused.Length / 2)].Zip(fused[(fused.Length / 2)..], (gate, up) => Activated(gate) * up)]);
        }

        double[] scores = Product(router, x);
        double max = scores.Max();
        double[] probabilities = [.. scores.Select(score => Math.Exp(score - max))];
        double sum = probabilities.Sum();
        int[] chosen = [.. Enumerable.Range(0, scores.Length).OrderByDescending(expert => probabilities[expert]).Take(Int("num_experts_per_tok")!.Value)];
        double share = mixtral || _config["norm_topk_prob"]?.GetValue<bool>() == true ? chosen.Sum(expert => probabilities[expert]) : sum;
        double[] y = new double[_hidden];
        foreach (int expert in chosen)
        {
            string e = p + (mixtral ? $"block_sparse_moe.experts.{expert}." : $"mlp.experts.{expert}.");
            Add(y, mixtral ? Gated(x, e + "w1", e + "w3", e + "w2") : Gated(x, e + "gate_proj", e + "up_proj", e + "down_proj"), probabilities[expert] / share);
        }

        return y;
    }

    private double[] Gated(double[] x, string gate, string up, string down) =>
        Linear(down, [.. Linear(gate, x).Zip(Linear(up, x), (g, u) => Activated(g) * u)]);

    private double Activated(double x)
    {
        string name = (_config["hidden_activation"] ?? _config["hidden_act"])?.GetValue<string>() ?? (IsGemma ? "gelu_pytorch_tanh" : "silu");
        return name == "silu" ? x / (1 + Math.Exp(-x)) : 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x))));
    }

    // 0 for full attention.
    private int Window(int layer)
    {
        int window = Int("sliding_window") ?? 0;
        string? kind = _config["layer_types"]?[layer]?.GetValue<string>();
        return _type switch
        {
            "mistral" or "mixtral" or "phi3" => window,
            "qwen2" or "qwen3" or "qwen3_moe" or "smollm3" when _config["use_sliding_window"]?.GetValue<bool>() != true => 0,
            _ when kind is not null => kind == "sliding_attention" ? window : 0,
            "gemma2" => layer % 2 == 0 ? window : 0,
            "gemma3_text" => (layer + 1) % (Int("sliding_window_pattern") ?? 6) != 0 ? window : 0,
            "qwen2" or "qwen3" or "qwen3_moe" => layer >= (Int("max_window_layers") ?? 28) ? window : 0,
            _ => 0,
        };
    }

    private double[] Rotated(double[] x, int layer, int position, bool slides)
    {
        if (_type == "smollm3" && _config["no_rope_layers"] is JsonArray rotates ? rotates[layer]!.GetValue<int>() == 0 : _type == "smollm3" && (layer + 1) % 4 == 0)
        {
            return x;
        }

        double[] frequencies = Frequencies(slides);
        double[] y = [.. x];
        for (int start = 0; start < x.Length; start += _headDim)
        {
            for (int i = 0; i < frequencies.Length; i++)
            {
                (double sin, double cos) = Math.SinCos(position * frequencies[i]);
                (double a, double b) = (x[start + i], x[start + i + frequencies.Length]);
                (y[start + i], y[start + i + frequencies.Length]) = ((a * cos) - (b * sin), (b * cos) + (a * sin));
            }
        }

        return y;
    }

    private double[] Frequencies(bool slides)
    {
        JsonNode? rope = _config["rope_parameters"];
        bool local = _type == "gemma3_text" && slides;
        rope = rope?[local ? "sliding_attention" : "full_attention"] ?? rope;
        double theta = rope?["rope_theta"]?.GetValue<double>() ?? (local ? Number("rope_local_base_freq") ?? 10000 : Number("rope_theta") ?? (_type == "gemma3_text" ? 1e6 : 10000));
        double partial = rope?["partial_rotary_factor"]?.GetValue<double>() ?? Number("partial_rotary_factor") ?? 1;
        int dimensions = (int)(_headDim * partial);
        JsonNode? scaling = rope ?? (local ? null : _config["rope_scaling"]);
        bool llama3 = (scaling?["rope_type"] ?? scaling?["type"])?.GetValue<string>() == "llama3";
        double Of(string name) => scaling![name]!.GetValue<double>();
        return [.. Enumerable.Range(0, dimensions / 2).Select(i =>
        {
            double frequency = Math.Pow(theta, -2.0 * i / dimensions);
            double wavelength = 2 * Math.PI / frequency;
            if (!llama3 || wavelength < Of("original_max_position_embeddings") / Of("high_freq_factor"))
            {
                return frequency;
            }

            double smooth = Math.Max(0, ((Of("original_max_position_embeddings") / wavelength) - Of("low_freq_factor")) / (Of("high_freq_factor") - Of("low_freq_factor")));
            return ((1 - smooth) * frequency / Of("factor")) + (smooth * frequency);
        })];
    }

    private double[] HeadNorm(double[] x, string name)
    {
        if (Tensor(name) is null)
        {
            return x;
        }

        int size = _type == "olmo2" ? x.Length : _headDim;
        return [.. Enumerable.Range(0, x.Length / size).SelectMany(head => Norm(x[(head * size)..((head + 1) * size)], name))];
    }

    private double[] Norm(double[] x, string name)
    {
        double[] weight = Tensor(name)!;
        double root = Math.Sqrt(x.Average(static value => value * value) + _epsilon);
        return [.. x.Select((value, i) => value / root * (weight[i] + (IsGemma ? 1 : 0)))];
    }

    private double[] Linear(string name, double[] x)
    {
        double[] y = Product(name + ".weight", x);
        if (Tensor(name + ".bias") is { } bias)
        {
            Add(y, bias, 1);
        }

        return y;
    }

    private double[] Product(string name, double[] x)
    {
        double[] weight = Tensor(name)!;
        double[] y = new double[weight.Length / x.Length];
        for (int row = 0; row < y.Length; row++)
        {
            for (int i = 0; i < x.Length; i++)
            {
                y[row] += weight[(row * x.Length) + i] * x[i];
            }
        }

        return y;
    }

    private static void Add(double[] to, double[] what, double factor)
    {
        for (int i = 0; i < to.Length; i++)
        {
            to[i] += what[i] * factor;
        }
    }

    private static double[] Scaled(double[] x, double factor) => [.. x.Select(value => value * factor)];

    private int? Int(string name) => _config[name]?.GetValue<int>();

    private double? Number(string name) => _config[name]?.GetValue<double>();

    private double[]? Tensor(string name)
    {
        if (!_tensors.TryGetValue(name, out double[]? numbers))
        {
            numbers = _checkpoint.Numbers(name);
            if (numbers is not null)
            {
                _tensors[name] = numbers;
            }
        }

        return numbers;
    }
}
