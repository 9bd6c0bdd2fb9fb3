using System.Runtime.CompilerServices;

// ILGPU generates launchers for kernels with internal argument types in an assembly of this name.
[assembly: InternalsVisibleTo("ILGPURuntime")]
