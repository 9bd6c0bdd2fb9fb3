namespace Cleave.PrivacyLab.Study;

/// <summary>Makes one table of the study.</summary>
public interface IExperiment
{
    /// <summary>What the command calls it.</summary>
    string Name { get; }

    /// <summary>One line for help.</summary>
    string Description { get; }

    /// <summary>Runs it.</summary>
    Task<StudyTable> RunAsync(LabBench bench, StudySettings settings, CancellationToken cancellationToken);
}
