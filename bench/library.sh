#!/bin/bash
# How fast a library lists, lists again, and analyses; and how large it gets.
#   bench/library.sh [N]          N tiny files (default 500000), made by tools/make_tree.c
#   ANALYSE=DIR bench/library.sh  also the rate of analysis over these sounds, with whatever models are installed
# PLACE: where the tree and the library go (default /dev/shm, so that no disk is measured: about 4.3 kB a file). SAMPLEMIND: the
# program. RUNS: of each, interleaved, the best counts (default 3). Beside each time stands `find` over the same tree.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
program=${SAMPLEMIND:-$here/samplemind} n=${1:-500000} runs=${RUNS:-3}
place=$(mktemp -d "${PLACE:-/dev/shm}/samplemind-bench.XXXXXX")
trap 'rm -rf "$place"' EXIT
${CC:-cc} -O2 -D_GNU_SOURCE "$here/tools/make_tree.c" -lm -o "$place/make_tree"
ms() { # VARIABLE COMMAND...: the least of what the variable has and what the command takes
    local -n best=$1
    shift
    local start=$(date +%s%N)
    "$@" >"$place/out"
    local t=$((($(date +%s%N) - start) / 1000000))
    [ "${best:-0}" -gt 0 ] && [ "$best" -le "$t" ] || best=$t
}
list() { "$program" scan --no-analyze --progress none --json --library "$place/library" "$place/tree"; }
ms made "$place/make_tree" "$place/tree" "$n"
find "$place/tree" -type f -size +0 -printf '%s %T@ %p\n' >/dev/null # warm
found=0 listed=0 again=0
for ((i = 0; i < runs; i++)); do
    ms found find "$place/tree" -type f -size +0 -printf '%s %T@ %p\n'
    rm -rf "$place/library"
    ms listed list
    grep -q "\"added\":$n," "$place/out" || { echo "not all were listed: $(cat "$place/out")"; exit 1; }
    ms again list
    grep -q '"added":0,"changed":0,"gone":0' "$place/out" || { echo "something changed: $(cat "$place/out")"; exit 1; }
done
awk -v n="$n" -v f="$found" -v l="$listed" -v a="$again" -v b="$(stat -c %s "$place/library/library.db")" 'BEGIN {
    printf "%d files\n%-28s %8d ms\n%-28s %8d ms %6.2f times find\n%-28s %8d ms %6.2f times find\n%-28s %8.1f bytes a file\n",
        n, "find", f, "first listing", l, l / f, "listing again, unchanged", a, a / f, "database after listing", b / n }'
[ -n "${ANALYSE:-}" ] || exit 0
rm -rf "$place/library"
start=$(date +%s%N)
"$program" scan --progress none --json --library "$place/library" "$ANALYSE" >"$place/out" || true
awk -v t="$(($(date +%s%N) - start))" -v b="$(stat -c %s "$place/library/library.db")" -v models="$("$program" stats --library "$place/library" --json |
    tr '{' '\n' | grep -c '"weights"')" '
    { match($0, /"analysed":[0-9]+/); n = substr($0, RSTART + 11, RLENGTH - 11) }
    END { printf "%-28s %8.1f files/s: %d sounds in %.1f s, %d models, %.0f bytes of database a sound\n", "analysis", n / t * 1e9, n, t / 1e9, models, b / n }' "$place/out"
