#!/bin/bash
# How many short sounds a second `analyze` does, and where the time goes.
#   bench/collection.sh FOLDER|@LIST [N]       the first N sounds (default 1000), with whatever models are installed
# SAMPLEMIND: the program (default ./samplemind). MODELS: which (default yamnet,musicnn,crepe-tiny and the heads that are there).
set -eu
program=${SAMPLEMIND:-./samplemind}
sounds=${1:?a folder, or @LIST} n=${2:-1000}
models=${MODELS:-$("$program" models list --json | tr '{' '\n' | sed -n 's/.*"name":"\([^"]*\)".*"installed":true.*/\1/p' |
    grep -E '^(yamnet|crepe-tiny|musicnn|.*-musicnn(-whole)?)$' | paste -sd,)}
list=$(mktemp) out=$(mktemp)
trap 'rm -f "$list" "$out"' EXIT
case $sounds in
@*) head -n "$n" "${sounds#@}" >"$list" ;;
*) find "$sounds" -type f | sort | awk -v n="$n" '{ all[NR] = $0 } END { step = NR > n ? NR / n : 1; for (i = 1; i <= NR && k < n; i += step) { print all[int(i)]; k++ } }' >"$list" ;;
esac
n=$(wc -l <"$list")
run() { # LABEL ARGS...: the better of two runs
    local label=$1 best=
    shift
    for _ in 1 2; do
        start=$(date +%s%N)
        "$program" analyze "@$list" --jsonl "$@" >"$out" 2>/dev/null || true
        t=$((($(date +%s%N) - start) / 1000000))
        [ -n "$best" ] && [ "$best" -le "$t" ] || best=$t
    done
    awk -v l="$label" -v n="$n" -v t="$best" 'BEGIN { printf "%-44s %8.2f s %9.1f files/s %8.2f ms a file\n", l, t / 1000, 1000 * n / t, t / n }'
}
echo "$n sounds; models: $models"
run "all models, -j1" --models "$models" -j1
run "all models, -j2" --models "$models" -j2
run "no models, -j1" --no-models -j1
for m in ${models//,/ }; do
    run "only $m, -j1" --models "$m" -j1
done
"$program" bench yamnet --runs 3 --threads 1 --table | sed -n 2p
"$program" bench yamnet --runs 3 --threads 2 --table | sed -n 2p
