#!/usr/bin/env bash
# Packs a self-contained build for a GPU machine that has nothing but the NVIDIA driver: scripts/publish-gpu.sh [PROJECT...]
# (default: worker, command line and the GPU bench). Fails when the archive is over 24 MB, or when the committed log of the device contract was
# made with other kernel sources (scripts/check-gpu-contract.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
limit=$((24 * 1000 * 1000))
projects=("$@")
[ ${#projects[@]} -gt 0 ] || projects=(src/Cleave.Cli src/Cleave.Worker benchmarks/Cleave.GpuBench)

scripts/check-gpu-contract.sh

out=artifacts/publish/cleave-gpu-linux-x64
rm -rf "$out" "$out.tar.xz"
for project in "${projects[@]}"; do
  # Partial trimming leaves ILGPU and our own code whole; ILGPU reflects over the core library, which is kept whole as well.
  dotnet publish "$project" -c Release -r linux-x64 --self-contained -o "$out" \
    -p:PublishTrimmed=true -p:TrimMode=partial -p:SuppressTrimAnalysisWarnings=true -p:ILLinkTreatWarningsAsErrors=false -p:DebugType=none -v q
done
# Debuggers' and tracers' halves of the runtime.
rm -f "$out"/{libmscordaccore,libmscordbi,libcoreclrtraceptprovider,libclrgc,libclrgcexp}.so "$out/createdump" "$out"/*.pdb "$out"/*.xml
tar -C "$(dirname "$out")" -cf - "$(basename "$out")" | xz -9e -T0 > "$out.tar.xz"
size=$(stat -c %s "$out.tar.xz")
echo "$out.tar.xz: $size bytes"
if [ "$size" -gt "$limit" ]; then
  echo "over the limit of $limit bytes" >&2
  exit 1
fi
