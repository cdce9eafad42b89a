#!/bin/bash
# The command doctor: every check has a line, what is broken is named, and the exit status tells.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export SAMPLEMIND_HOME=$place/home
sm=$SM_PROGRAM
fails=0
wrong() { echo "WRONG: $*"; fails=$((fails + 1)); }
# code EXPECTED COMMAND...: leaves out
code() {
    local want=$1 got=0
    shift
    "$@" >"$place/out" 2>&1 </dev/null || got=$?
    [ "$got" -eq "$want" ] || { wrong "exit code $got, expected $want: $*"; cat "$place/out"; }
}
prints() { grep -qE -- "$1" "$place/out" || wrong "no \"$1\" in: $(cat "$place/out")"; }

code 0 "$sm" doctor --table
prints '^processor +ok '
prints '^analysis +ok +a tone of 440 Hz is heard as A4 '
prints "^data +ok +$place/home, "
prints '^library +absent +none yet: samplemind scan '
for check in memory networks ffmpeg fluidsynth models; do prints "^$check +(ok|absent) "; done
code 0 "$sm" doctor --json
prints '^\[\{"check":"processor","state":"ok",.*\}\]$'

# an installed model that is damaged, and a library that is none
mkdir -p "$place/home/models" "$place/home/library"
echo "not a model" >"$place/home/models/yamnet.safetensors"
echo "not a database" >"$place/home/library/library.db"
code 1 "$sm" doctor --table
prints '^model +bad +yamnet: .*samplemind models pull yamnet'
prints '^library +bad +.*library\.db'
code 2 "$sm" doctor --library
[ "$fails" -eq 0 ]
