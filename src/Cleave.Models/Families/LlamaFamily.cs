using Cleave.Compute;
using Cleave.Models.Gguf;

namespace Cleave.Models.Families;

/// <summary>Llama, and what GGUF files call so: Mistral and Mixtral. Rows of q and k are permuted to interleaved pairs.</summary>
internal sealed class LlamaFamily : ModelFamily
{
    public override IReadOnlyList<string> GgufArchitectures => ["llama"];

    public override ModelConfig Configure(GgufFields fields) =>
        fields.Common(RopeLayout.Interleaved) with { NormalizeExpertWeights = true };
}
