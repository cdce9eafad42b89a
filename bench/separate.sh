#!/bin/bash
# A whole song through `samplemind separate`, decoding to encoding: time, share of the machine's sgemm, and what more threads gain beside what
# sgemm gains. Runs on each number of threads alternate, the best of each counts. The song is noise, which takes the time that any song
# takes. Needs the model: installed, or HTDEMUCS=FILE.
# Usage: bench/separate.sh      LENGTH=60 (seconds) THREADS="1 2" ROUNDS=2 SAMPLEMIND=./samplemind HTDEMUCS=FILE
set -eu -o pipefail
cd "$(dirname "$0")/.."
samplemind=${SAMPLEMIND:-./samplemind}
seconds=${LENGTH:-60} macs=167.46 # 10^9 of each chunk, of which there is one every 257,985 samples
chunks=$(((seconds * 44100 + 257984) / 257985))
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
bytes=$((seconds * 44100 * 4))
le32() { printf "\\x$(printf %02x $(($1 & 255)))\\x$(printf %02x $(($1 >> 8 & 255)))\\x$(printf %02x $(($1 >> 16 & 255)))\\x$(printf %02x $(($1 >> 24 & 255)))"; }
{
    printf 'RIFF'; le32 $((bytes + 36)); printf 'WAVEfmt '; le32 16; printf '\x01\x00\x02\x00'; le32 44100; le32 176400; printf '\x04\x00\x10\x00data'; le32 "$bytes"
    head -c "$bytes" /dev/urandom
} >"$place/noise.wav"

number() { tr -d '\n' | sed -n "s/.*\"$1\": *\([0-9.]*\).*/\1/p"; }
for ((round = 0; round < ${ROUNDS:-2}; round++)); do
    for threads in ${THREADS:-1 2}; do
        rate=$("$samplemind" bench yamnet --json --threads "$threads" --runs 1 | number sgemm_gflops)
        time=$("$samplemind" separate -n "htdemucs${HTDEMUCS:+=$HTDEMUCS}" "$place/noise.wav" -o "$place/out" --shifts 0 --precision f32 --threads "$threads" --json -q | number seconds)
        echo "$threads $time $rate"
    done
done | awk -v c=$chunks -v m=$macs -v s="$seconds" '
    !($1 in time) { order[++n] = $1 }
    !($1 in time) || $2 < time[$1] { time[$1] = $2 }
    $3 > sgemm[$1] { sgemm[$1] = $3 }
    END {
        printf "| threads | %d s of music, s | times real time | GFLOP/s | sgemm | share | gain | of sgemm'"'"'s |\n", s
        print "|--:|--:|--:|--:|--:|--:|--:|--:|"
        for (i = 1; i <= n; i++) {
            t = order[i]
            f = 2 * m * c / time[t]
            g = time[order[1]] / time[t]
            printf "| %d | %.1f | %.2f | %.1f | %.1f | %.0f %% | %.2f | %.2f |\n", t, time[t], s / time[t], f, sgemm[t],
                100 * f / sgemm[t], g, g / (sgemm[t] / sgemm[order[1]])
        }
    }'
