#!/bin/bash
# Our networks beside ONNX Runtime and PyTorch, in turn, the best of all rounds; a table in Markdown. See README.md.
# Usage: bench/peers/run.sh [MODEL]...      THREADS="1 2" ROUNDS=5 RUNS=3 PEERS_DIR=build/peers SAMPLEMIND=./samplemind
set -eu -o pipefail
cd "$(dirname "$0")/../.."
here=bench/peers
folder=${PEERS_DIR:-build/peers}
samplemind=${SAMPLEMIND:-./samplemind}
export SM_SHARED=${SM_SHARED:-../shared}
[ $# -gt 0 ] || set -- crepe-tiny crepe-full musicnn effnet-discogs yamnet

# Debian's python3-torch belongs to Debian's python3.
python=/usr/bin/python3
$python -c 'import torch' || { echo "needs: apt-get install python3-torch libopenblas0-pthread nodejs npm time" >&2; exit 2; }
mkdir -p "$folder"
[ -d "$folder/node_modules/onnxruntime-node" ] || npm install --prefix "$folder" --ignore-scripts --no-fund --no-audit onnxruntime-node@1.30.0
[ -f "$folder/yamnet.onnx" ] || OMP_NUM_THREADS=2 $python $here/export_torch.py "$folder"
ours=no
"$samplemind" help bench >/dev/null 2>&1 && ours=yes
[ $ours = yes ] || echo "$samplemind bench is not there: the peers alone" >&2

# Appends the JSON line of one program, naming it; a program that fails is named and left out.
time_one() {
    local who=$1 line
    shift
    line=$("$@") || { echo "failed: $*" >&2; return 0; }
    echo "$line" | sed "s/^{/{\"who\":\"$who\",/" >>"$results"
}

for threads in ${THREADS:-1 2}; do
    results=$folder/times-$threads.jsonl
    rm -f "$results"
    export OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=$threads
    for ((round = 0; round < ${ROUNDS:-5}; round++)); do
        time_one torch $python $here/time_torch.py sgemm "$threads" "${RUNS:-3}"
        for model; do
            [ $ours = no ] || time_one ours "$samplemind" bench "$model" --json --precision f32 --threads "$threads" --runs "${RUNS:-3}"
            time_one onnx node $here/time_onnx.js "$folder" "$model" "$threads" "${RUNS:-3}"
            time_one torch $python $here/time_torch.py "$model" "$threads" "${RUNS:-3}"
        done
    done
    $python $here/table.py "$threads" <"$results"
    echo
done
