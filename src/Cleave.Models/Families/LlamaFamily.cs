using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;

namespace Cleave.Models.Families;

/// <summary>
/// Llama 2 and 3. GGUF files call Mistral and Mixtral llama too, and permute the rows of q and k so that rotated pairs are
/// neighbours.
/// </summary>
internal sealed class LlamaFamily : ModelFamily
{
    public override string HfType => "llama";

    public override string GgufArchitecture => "llama";

    public override ModelConfig Configure(HfConfig file) => file.Common();

    public override ModelConfig Configure(GgufFields fields) => fields.Common(RopeLayout.Interleaved) with
    {
        Windows = fields.Windows(_ => true),
        NormalizeExpertWeights = true,
    };
}
