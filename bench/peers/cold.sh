#!/bin/bash
# A whole program from its start to the answer for one second of sound: seconds (best of N) and memory. See README.md.
# Usage: bench/peers/cold.sh       ROUNDS=5 PEERS_DIR=build/peers SAMPLEMIND=./samplemind MODELS=crepe-tiny SM_SHARED=../shared
set -eu -o pipefail
cd "$(dirname "$0")/../.."
here=bench/peers
folder=${PEERS_DIR:-build/peers}
samplemind=${SAMPLEMIND:-./samplemind}
pth=${SM_SHARED:-../shared}/models/crepe/tiny.pth
python=/usr/bin/python3
wav=$folder/one_second.wav
log=$folder/cold.txt
mkdir -p "$folder"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
$python -c '
import math, struct, sys, wave
with wave.open(sys.argv[1], "wb") as f:
    f.setparams((1, 2, 16000, 0, "NONE", ""))
    f.writeframes(b"".join(struct.pack("<h", int(9000 * math.sin(0.1727876 * i))) for i in range(16000)))' "$wav"
rm -f "$log"

# NAME, then the command: one line "NAME<tab>seconds<tab>KiB"
once() {
    local name=$1 measured
    shift
    measured=$({ /usr/bin/time -f '%e\t%M' "$@" >/dev/null 2>"$folder/stderr.txt"; } 2>&1; tail -n 1 "$folder/stderr.txt")
    printf '%s\t%s\n' "$name" "$measured" >>"$log"
}

for ((round = 0; round < ${ROUNDS:-5}; round++)); do
    if "$samplemind" help analyze >/dev/null 2>&1; then
        once "samplemind analyze, no models" "$samplemind" analyze --no-models --json "$wav"
        once "samplemind analyze ${MODELS:=crepe-tiny}" "$samplemind" analyze --models "$MODELS" --json "$wav"
    fi
    once "python3 -c 'import torch'" $python -c 'import torch'
    if [ -f "$pth" ]; then once "PyTorch, CREPE tiny" $python $here/cold_torch.py "$pth" "$wav"; fi
done
echo "| one second of sound | s | MB |"
echo "|---|--:|--:|"
awk -F'\t' '!($1 in s) { order[++n] = $1; s[$1] = $2; m[$1] = $3 }
    { if ($2 < s[$1]) s[$1] = $2; if ($3 < m[$1]) m[$1] = $3 }
    END { for (i = 1; i <= n; i++) printf "| %s | %.2f | %.0f |\n", order[i], s[order[i]], m[order[i]] / 1024 }' "$log"
