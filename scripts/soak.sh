#!/usr/bin/env bash
# Two hours (or as many minutes as given) of 64 sessions from 8 tenants on one worker while their links are cut at random.
# Exit code 1 when an output differed, a conversation failed, a session starved, memory rose, or sessions or descriptors were left behind.
# usage: scripts/soak.sh [MINUTES] [REPORT.md]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dotnet build benchmarks/Cleave.Endurance -c Release -v q >&2
exec artifacts/bin/Cleave.Endurance/release/Cleave.Endurance load \
  --minutes "${1:-120}" --model models/cleave-demo-24m.q8_0.gguf --out "${2:-soak.md}"
