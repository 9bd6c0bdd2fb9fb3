using System.Buffers.Binary;
using System.Security.Cryptography;
using Cleave.Compute;

namespace Cleave.Inference.Privacy;

/// <summary>
/// The embedding noise of one session. A row's noise is a pseudo-random function of (session, position, token) under a 256-bit key, so
/// a row sent again, on another worker too, carries the same noise and releases nothing new; the guarantee is computational. Every
/// distinct (position, token) sent is charged: prompt, output and guesses alike.
/// </summary>
/// <remarks>
/// For each row: the embedding is scaled to at most the clip norm; HMAC-SHA256 of session, position and token keys AES-256, whose
/// keystream gives 53-bit uniforms and Box-Muller normals of them. Floating-point normals are not exact (Mironov 2012): a statement
/// of epsilon holds up to what rounding to float32 reveals.
/// </remarks>
public sealed class EmbeddingNoise
{
    private readonly EmbeddingNoiseOptions _options;
    private readonly byte[] _key;
    private readonly byte[] _session;
    private readonly float _sigma;
    private readonly HashSet<(int Position, int Token)> _released = [];

    /// <summary>Noise of a new session under a random key.</summary>
    public EmbeddingNoise(EmbeddingNoiseOptions options)
        : this(options, RandomNumberGenerator.GetBytes(32), RandomNumberGenerator.GetBytes(16))
    {
    }

    /// <param name="options">Clip norm, epsilon, delta.</param>
    /// <param name="key">32 random bytes.</param>
    /// <param name="session">Name of the session: 16 bytes, never used twice under one key.</param>
    public EmbeddingNoise(EmbeddingNoiseOptions options, ReadOnlySpan<byte> key, ReadOnlySpan<byte> session)
    {
        if (options.Validate() is { } problem)
        {
            throw new ArgumentException(problem, nameof(options));
        }

        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, 32);
        ArgumentOutOfRangeException.ThrowIfNotEqual(session.Length, 16);
        _options = options;
        _key = key.ToArray();
        _session = session.ToArray();
        _sigma = (float)options.Sigma;
    }

    /// <summary>Distinct (position, token) rows sent so far.</summary>
    public int RowsReleased => _released.Count;

    /// <summary>What may be said of one token.</summary>
    public double EpsilonPerToken => _options.Epsilon;

    /// <summary>What may be said of everything sent so far, at the same delta.</summary>
    public double EpsilonComposed =>
        GaussianMechanism.Epsilon(GaussianMechanism.Compose(2 * _options.ClipNorm / _options.Sigma, _released.Count), _options.Delta);

    /// <summary>Clips and perturbs embeddings [rows, hiddenSize] in place; rows of the plan give the positions.</summary>
    public void Apply(AttentionPlan plan, ReadOnlySpan<int> tokens, Span<float> embeddings)
    {
        int width = embeddings.Length / tokens.Length;
        for (int row = 0; row < tokens.Length; row++)
        {
            int position = plan.Rows[row].Position;
            Apply(position, tokens[row], embeddings.Slice(row * width, width));
            _released.Add((position, tokens[row]));
        }
    }

    private void Apply(int position, int token, Span<float> embedding)
    {
        // 1. Clip.
        double squares = 0;
        foreach (float value in embedding)
        {
            squares += (double)value * value;
        }

        double norm = Math.Sqrt(squares);
        float scale = norm > _options.ClipNorm ? (float)(_options.ClipNorm / norm) : 1;

        // 2. This row's keystream.
        Span<byte> name = stackalloc byte[24];
        _session.CopyTo(name);
        BinaryPrimitives.WriteInt32LittleEndian(name[16..], position);
        BinaryPrimitives.WriteInt32LittleEndian(name[20..], token);
        Span<byte> rowKey = stackalloc byte[32];
        HMACSHA256.HashData(_key, name, rowKey);
        byte[] stream = new byte[16 * ((embedding.Length + 1) / 2)];
        for (int block = 0; block < stream.Length / 16; block++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(stream.AsSpan(16 * block), block);
        }

        using Aes aes = Aes.Create();
        aes.Key = rowKey.ToArray();
        aes.EncryptEcb(stream, stream, PaddingMode.None);

        // 3. Two normals from each 16 bytes.
        for (int i = 0; i < embedding.Length; i += 2)
        {
            ReadOnlySpan<byte> block = stream.AsSpan(8 * i, 16);
            double u = ((BinaryPrimitives.ReadUInt64LittleEndian(block) >> 11) + 0.5) * (1.0 / (1UL << 53));
            double v = (BinaryPrimitives.ReadUInt64LittleEndian(block[8..]) >> 11) * (1.0 / (1UL << 53));
            double radius = Math.Sqrt(-2 * Math.Log(u));
            (double sin, double cos) = Math.SinCos(2 * Math.PI * v);
            embedding[i] = (scale * embedding[i]) + (_sigma * (float)(radius * cos));
            if (i + 1 < embedding.Length)
            {
                embedding[i + 1] = (scale * embedding[i + 1]) + (_sigma * (float)(radius * sin));
            }
        }
    }
}
