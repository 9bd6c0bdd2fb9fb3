namespace Cleave.PrivacyLab.Study;

/// <summary>The experiments by name. A new one is a file and a line here.</summary>
public static class ExperimentCatalog
{
    /// <summary>All, in the order of docs/PRIVACY-STUDY.md.</summary>
    public static IReadOnlyList<IExperiment> All { get; } =
    [
        new PaperDepthExperiment(),
        new WhiteBoxExperiment(),
        new LearnedInversionExperiment(),
        new ShiftExperiment(),
        new OutputExperiment(),
        new PrivateEndsExperiment(),
        new StrengtheningExperiment(),
        new NoiseExperiment(),
        new UtilityExperiment(),
        new MaliciousWorkerExperiment(),
        new TreeShapeExperiment(),
        new AuditExperiment(),
    ];

    /// <summary>Finds one by name, null when there is none.</summary>
    public static IExperiment? Find(string name) => All.FirstOrDefault(experiment => experiment.Name == name);
}
