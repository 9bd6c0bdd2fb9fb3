// Scratch on the stack is written before it is read; clearing it costs more than some of the kernels that use it.
[module: System.Runtime.CompilerServices.SkipLocalsInit]
