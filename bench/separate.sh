#!/bin/bash
# A whole song through `samplemind separate`, decoding to encoding: time, share of the machine's sgemm (measured beside, in turn), and
# memory. The song is a minute of noise, which takes the time that any minute takes. Needs the model: installed, or HTDEMUCS=FILE.
# Usage: bench/separate.sh      THREADS="1 2" ROUNDS=2 SAMPLEMIND=./samplemind HTDEMUCS=FILE
set -eu -o pipefail
cd "$(dirname "$0")/.."
samplemind=${SAMPLEMIND:-./samplemind}
seconds=60 chunks=11 macs=167.46 # ceil(60 s / 257,985 samples); 10^9 of each
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
bytes=$((seconds * 44100 * 4))
le32() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 24 & 255)))"; }
{
    printf 'RIFF'; le32 $((bytes + 36)); printf 'WAVEfmt '; le32 16; printf '\x01\x00\x02\x00'; le32 44100; le32 176400; printf '\x04\x00\x10\x00data'; le32 "$bytes"
    head -c "$bytes" /dev/urandom
} >"$place/noise.wav"

number() { tr -d '\n' | sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p"; }
echo "| threads | a minute, s | times real time | GFLOP/s | sgemm | share |"
echo "|--:|--:|--:|--:|--:|--:|"
for threads in ${THREADS:-1 2}; do
    best=1e9 sgemm=0
    for ((round = 0; round < ${ROUNDS:-2}; round++)); do
        rate=$("$samplemind" bench yamnet --json --threads "$threads" --runs 1 | number sgemm_gflops)
        time=$("$samplemind" separate -n "htdemucs${HTDEMUCS:+=$HTDEMUCS}" "$place/noise.wav" -o "$place/out" --shifts 0 --precision f32 --threads "$threads" --json -q | number seconds)
        best=$(echo "$best $time" | awk '{ print ($1 < $2 ? $1 : $2) }')
        sgemm=$(echo "$sgemm $rate" | awk '{ print ($1 > $2 ? $1 : $2) }')
    done
    echo "$threads $best $sgemm" | awk -v c=$chunks -v m=$macs -v s=$seconds \
        '{ f = 2 * m * c / $2; printf "| %d | %.1f | %.2f | %.1f | %.1f | %.0f %% |\n", $1, $2, s / $2, f, $3, 100 * f / $3 }'
done
