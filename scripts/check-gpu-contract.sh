#!/usr/bin/env bash
# Succeeds when the committed log of the device contract on a real GPU (docs/performance/gpu-contract.log) was made with the kernel sources of
# this tree. CI warns when it fails (the kernels cannot run there); the release script refuses.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The same hash as KernelSource.Hash: resource name and text of every file, in name order.
hash=$(
  for file in src/Cleave.Compute.Gpu/{Kernels,Cuda}/*.cs; do
    name=$(basename "$file" .cs)
    printf '%s\t%s\n' "kernels/$name" "$file"
  done | LC_ALL=C sort | while IFS=$'\t' read -r name file; do
    printf '%s\n' "$name"
    tr -d '\r' <"$file"
  done | sha256sum | cut -c1-16
)
log=docs/performance/gpu-contract.log
if grep -q "^contract: .* 0 failed, kernel source $hash$" "$log" 2>/dev/null; then
  echo "GPU contract log is of these kernel sources ($hash)"
else
  echo "warning: $log is not of these kernel sources ($hash): run cleave-gpu-bench check on a GPU and commit its output" >&2
  exit 1
fi
