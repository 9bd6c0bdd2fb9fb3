using System.Buffers.Binary;
using System.Text;

namespace Cleave.Tokenization.HuggingFace;

/// <summary>
/// SentencePiece's tokenizer.model: a protocol buffer of pieces, trainer and normalizer settings (sentencepiece_model.proto).
/// Models of type BPE without a character map are supported.
/// </summary>
internal static class SentencePieceModel
{
    private const int MaxPieces = 4 << 20;
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    public static TokenizerDefinition Read(string path, byte[] file)
    {
        var tokens = new List<string>();
        var scores = new List<float>();
        var types = new List<int>();
        ulong modelType = 1;
        int unknown = 0, bos = 1, eos = 2;
        bool spacePrefix = true;
        try
        {
            for (var message = new Fields(file); message.Next();)
            {
                switch (message.Number)
                {
                    case 1:
                        if (tokens.Count == MaxPieces)
                        {
                            throw new TokenizerFormatException($"{path}: has more than {MaxPieces} pieces");
                        }

                        (string text, float score, int type) = ReadPiece(message.Bytes);
                        tokens.Add(text);
                        scores.Add(score);
                        types.Add(type);
                        break;
                    case 2:
                        for (var trainer = new Fields(message.Bytes); trainer.Next();)
                        {
                            _ = trainer.Number switch
                            {
                                3 => modelType = trainer.Value,
                                40 => (ulong)(unknown = (int)trainer.Value),
                                41 => (ulong)(bos = (int)trainer.Value),
                                42 => (ulong)(eos = (int)trainer.Value),
                                _ => 0UL,
                            };
                        }

                        break;
                    case 3:
                        for (var normalizer = new Fields(message.Bytes); normalizer.Next();)
                        {
                            if (normalizer.Number == 2 && normalizer.Bytes.Length > 0)
                            {
                                throw new TokenizerFormatException($"{path}: normalizes by a character map, which is not supported");
                            }

                            spacePrefix = normalizer.Number == 3 ? normalizer.Value != 0 : spacePrefix;
                        }

                        break;
                }
            }
        }
        catch (Exception e) when (e is InvalidDataException or DecoderFallbackException)
        {
            throw new TokenizerFormatException($"{path}: is damaged, or no SentencePiece model: {e.Message}", e);
        }

        if (modelType != 2 || tokens.Count == 0)
        {
            throw new TokenizerFormatException($"{path}: SentencePiece model of type {modelType} with {tokens.Count} pieces; type 2 (BPE) is supported");
        }

        int? Id(int id) => id >= 0 && id < tokens.Count ? id : null;
        return new TokenizerDefinition
        {
            Source = path,
            Model = "llama",
            Tokens = tokens,
            Scores = scores,
            TokenTypes = types,
            UnknownId = Id(unknown),
            BosId = Id(bos),
            EosId = Id(eos),
            AddSpacePrefix = spacePrefix,
        };
    }

    private static (string Text, float Score, int Type) ReadPiece(ReadOnlySpan<byte> bytes)
    {
        (string text, float score, int type) = ("", 0f, (int)TokenKind.Normal);
        for (var piece = new Fields(bytes); piece.Next();)
        {
            switch (piece.Number)
            {
                case 1:
                    text = StrictUtf8.GetString(piece.Bytes);
                    break;
                case 2 when piece.Bytes.Length == 4:
                    score = BinaryPrimitives.ReadSingleLittleEndian(piece.Bytes);
                    break;
                case 3:
                    type = (int)Math.Min(piece.Value, 99);
                    break;
            }
        }

        return (text, score, type);
    }

    /// <summary>Steps through the fields of a protocol buffer message.</summary>
    private ref struct Fields(ReadOnlySpan<byte> message)
    {
        private ReadOnlySpan<byte> _rest = message;

        public int Number { get; private set; }

        /// <summary>A varint's value.</summary>
        public ulong Value { get; private set; }

        /// <summary>The bytes of any other field.</summary>
        public ReadOnlySpan<byte> Bytes { get; private set; }

        public bool Next()
        {
            if (_rest.IsEmpty)
            {
                return false;
            }

            ulong key = Varint();
            Number = (int)Math.Min(key >> 3, int.MaxValue);
            Value = 0;
            Bytes = default;
            switch (key & 7)
            {
                case 0:
                    Value = Varint();
                    break;
                case 1:
                    Bytes = Take(8);
                    break;
                case 2:
                    Bytes = Take(Varint());
                    break;
                case 5:
                    Bytes = Take(4);
                    break;
                default:
                    throw new InvalidDataException($"wire type {key & 7}");
            }

            return true;
        }

        private ulong Varint()
        {
            ulong value = 0;
            for (int shift = 0; shift < 64; shift += 7)
            {
                byte b = Take(1)[0];
                value |= (ulong)(b & 0x7F) << shift;
                if (b < 0x80)
                {
                    return value;
                }
            }

            throw new InvalidDataException("a number of more than 64 bits");
        }

        private ReadOnlySpan<byte> Take(ulong length)
        {
            if (length > (ulong)_rest.Length)
            {
                throw new InvalidDataException("it ends too soon");
            }

            ReadOnlySpan<byte> taken = _rest[..(int)length];
            _rest = _rest[(int)length..];
            return taken;
        }
    }
}
