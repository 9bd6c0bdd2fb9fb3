using Cleave.Compute;
using Cleave.Models.Gguf;
using Cleave.Models.HuggingFace;

namespace Cleave.Models.Families;

/// <summary>OLMo 2: norms after each half-layer and none before, q and k normed over all heads together.</summary>
internal sealed class Olmo2Family : ModelFamily
{
    public override string HfType => "olmo2";

    public override string GgufArchitecture => "olmo2";

    public override ModelConfig Configure(HfConfig file) => Normed(file.Common());

    public override ModelConfig Configure(GgufFields fields) => Normed(fields.Common(RopeLayout.Halves));

    private static ModelConfig Normed(ModelConfig config) =>
        config with { PreNorm = false, PostNorm = true, QueryKeyNorm = QueryKeyNorm.AllHeads };
}
