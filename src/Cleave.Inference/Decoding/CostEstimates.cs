namespace Cleave.Inference.Decoding;

/// <summary>The inputs of the node rule at one moment (milliseconds): each part is base + rows * row.</summary>
/// <param name="RttMs">Round trip of an empty frame.</param>
/// <param name="LinkRowMs">One row's bytes, up and down.</param>
/// <param name="WorkerMs">Worker, without rows.</param>
/// <param name="WorkerRowMs">Worker, one row.</param>
/// <param name="HeadMs">Head, without rows.</param>
/// <param name="HeadRowMs">Head, one row.</param>
/// <param name="TailMs">Tail, without rows.</param>
/// <param name="TailRowMs">Tail, one row walked.</param>
/// <param name="DraftMs">One call of the drafter.</param>
/// <param name="DraftNodeMs">One node more in it.</param>
/// <param name="TokensPerSecond">Recent speed.</param>
/// <param name="Threshold">Path probability from which a row is worth sending.</param>
public sealed record CostEstimates(
    double RttMs, double LinkRowMs, double WorkerMs, double WorkerRowMs, double HeadMs, double HeadRowMs, double TailMs, double TailRowMs,
    double DraftMs, double DraftNodeMs, double TokensPerSecond, double Threshold)
{
    internal static CostEstimates Of(StepCosts costs) => new(
        costs.Link.BaseMs, costs.Link.RowMs, costs.Worker.BaseMs, costs.Worker.RowMs, costs.Head.BaseMs, costs.Head.RowMs,
        costs.Tail.BaseMs, costs.Tail.RowMs, costs.Draft.BaseMs, costs.Draft.RowMs, 1000 * costs.TokensPerMs, costs.Threshold);
}
