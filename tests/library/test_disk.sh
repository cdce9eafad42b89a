#!/bin/bash
# A disk that is full, and one that may only be read: a clear sentence, and nothing is broken.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d)
trap 'umount "$place/disk" 2>/dev/null; rm -rf "$place"' EXIT
export SAMPLEMIND_HOME=$place/home
mkdir "$place/disk"
mount -t tmpfs -o size=400k none "$place/disk" 2>/dev/null || { echo "a small disk cannot be mounted here"; exit 77; }
${CC:-cc} -O2 -D_GNU_SOURCE "$here/tools/make_tree.c" -lm -o "$place/make_tree" && "$place/make_tree" "$place/tree" 20000 || exit 1
fails=0
run() { # EXIT-CODE WORDS ARGS...
    local want=$1 words=$2 got=0
    shift 2
    "$SM_PROGRAM" "$@" --library "$place/disk/library" >"$place/out" 2>&1 || got=$?
    [ "$got" -eq "$want" ] && grep -qF -- "$words" "$place/out" ||
        { echo "WRONG: exit code $got, expected $want and \"$words\": $*"; sed 's/^/  | /' "$place/out"; fails=$((fails + 1)); }
}
run 1 "the disk is full" scan --no-analyze "$place/tree"
mount -o remount,size=40m "$place/disk"
run 0 "all is well" stats --check
run 0 '"waiting":20000' scan --no-analyze --json "$place/tree"
run 0 "all is well" stats --check
mount -o remount,ro "$place/disk" || exit 1
run 1 "only be read" scan --no-analyze "$place/tree"
run 0 '"waiting":20000' stats --json
[ "$fails" -eq 0 ]
