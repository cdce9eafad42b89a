#!/bin/sh
# What a second thread gains, beside what sgemm gains: runs on one thread and on several alternate, and the best of each counts,
# since other load slows both (and a core whose other half is busy runs these networks at half its speed).
#
#     bench/threads.sh [ROUNDS [THREADS [MODEL...]]]
set -eu
rounds=${1:-8} threads=${2:-2}
[ $# -gt 2 ] && shift 2 || set -- crepe-full crepe-tiny musicnn effnet-discogs yamnet
program=${SAMPLEMIND:-./samplemind}

round=0
while [ "$round" -lt "$rounds" ]; do
    for model; do
        for t in 1 "$threads"; do
            "$program" bench "$model" --threads "$t" --runs 3 --jsonl
        done
    done
    round=$((round + 1))
done | awk -F'[:,}]' '
    {
        for (i = 1; i < NF; i += 2) {
            gsub(/[{"]/, "", $i)
            v[$i] = $(i + 1)
        }
        gsub(/"/, "", v["model"])
        m = v["model"]
        t = v["threads"] > 1
        if (!(m in seen)) {
            seen[m] = 1
            order[++n] = m
        }
        if (!((m, t) in best) || v["ms"] + 0 < best[m, t])
            best[m, t] = v["ms"] + 0
        if (v["sgemm_gflops"] + 0 > sgemm[t])
            sgemm[t] = v["sgemm_gflops"] + 0
    }
    END {
        gain = sgemm[1] / sgemm[0]
        printf "sgemm: %.1f to %.1f GFLOP/s, gain %.2f\n", sgemm[0], sgemm[1], gain
        printf "%-16s %9s %9s %6s %s\n", "model", "1 thread", "threads", "gain", "of sgemm'"'"'s"
        for (i = 1; i <= n; i++) {
            m = order[i]
            g = best[m, 0] / best[m, 1]
            printf "%-16s %9.2f %9.2f %6.2f %.2f\n", m, best[m, 0], best[m, 1], g, g / gain
        }
    }'
