#!/usr/bin/env bash
# Packs a self-contained build for a GPU machine that has nothing but the NVIDIA driver: scripts/publish-gpu.sh [--trial]
# Worker, command line, GPU bench and checkpoint writer share one runtime. Models are left out (they travel by themselves).
# Fails when the archive is over 24 MB, or when the committed log of the device contract was made with other kernel sources
# (scripts/check-gpu-contract.sh); --trial packs all the same: how else would a new log be made.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
limit=$((24 * 1000 * 1000))
case "${1:-}" in
  "") scripts/check-gpu-contract.sh ;;
  --trial) scripts/check-gpu-contract.sh || true ;;
  *)
    echo "usage: scripts/publish-gpu.sh [--trial]" >&2
    exit 2
    ;;
esac

name=cleave-gpu-linux-x64
out=artifacts/publish/$name
rm -rf "$out" "$out.tar.xz"
dotnet publish packaging/Cleave.GpuPackage -c Release -o "$out" -p:CleaveWithoutModels=true -v q

# Each program's starter; runtime and list of libraries are the package's.
for program in Cleave.Cli/cleave Cleave.Worker/cleave-worker Cleave.GpuBench/cleave-gpu-bench Cleave.CheckpointWriter/cleave-checkpoint-writer; do
  starter=${program#*/}
  cp "artifacts/bin/${program%/*}/release/$starter" "$out/$starter"
  cp "$out/cleave-gpu-package.runtimeconfig.json" "$out/$starter.runtimeconfig.json"
  cp "$out/cleave-gpu-package.deps.json" "$out/$starter.deps.json"
done
rm "$out"/cleave-gpu-package*

# Debuggers' and tracers' halves of the runtime, what nothing here loads, and web projects' leftovers.
rm -f "$out"/{libmscordaccore,libmscordbi,libcoreclrtraceptprovider,libclrgc,libclrgcexp}.so "$out/createdump" "$out"/*.pdb "$out"/*.xml
tar -C "$(dirname "$out")" -cf - "$name" | xz -9e -T0 > "$out.tar.xz"
size=$(stat -c %s "$out.tar.xz")
echo "$out.tar.xz: $size bytes"
if [ "$size" -gt "$limit" ]; then
  echo "over the limit of $limit bytes" >&2
  exit 1
fi
