#!/bin/bash
# Runs one scenario as a Slurm job array, a shard of its cells per task, then merges.
#
#   scripts/cluster/slurm-array.sh SCENARIO N_SHARDS OUT_DIR [sbatch options ...]
#
# Every task gets a whole node (timings are worth nothing on a shared one) and writes
# OUT_DIR/shard-I; a last job, after all tasks, merges them into OUT_DIR/merged.
# Shards are cut by a stable hash, so a task can be run again without touching the others.
set -euo pipefail
if [ $# -lt 3 ]; then
    echo "usage: $0 SCENARIO N_SHARDS OUT_DIR [sbatch options ...]" >&2
    exit 2
fi
scenario=$(readlink -f "$1") shards=$2
mkdir -p "$3" && out=$(readlink -f "$3")
shift 3
root=$(cd "$(dirname "$0")/../.." && pwd)
command -v sbatch >/dev/null || { echo "$0: sbatch not found: this needs a Slurm cluster" >&2; exit 2; }

job=$(sbatch --parsable --exclusive --array="1-$shards" --job-name=layerbench "$@" --wrap \
    "cd '$root' && build/layerbench run '$scenario' --shard \$SLURM_ARRAY_TASK_ID/$shards --out '$out'/shard-\$SLURM_ARRAY_TASK_ID --resume")
sbatch --parsable --dependency="afterok:$job" --job-name=layerbench-merge "$@" --wrap \
    "cd '$root' && build/layerbench merge '$out'/shard-* --out '$out/merged'"
