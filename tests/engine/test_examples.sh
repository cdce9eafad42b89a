#!/bin/bash
# The example program sees only the public header, and says the same as the command.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
[ -x "$SM_BUILD/examples/analyze" ] || { echo "examples/analyze was not built"; exit 1; }
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export SAMPLEMIND_HOME=$home
cd "$here"
sounds=$(ls examples/*.wav examples/*.flac | head -4)
# shellcheck disable=SC2086
"$SM_BUILD/examples/analyze" $sounds | grep '^{' > "$home/library.jsonl"
# shellcheck disable=SC2086
"$SM_PROGRAM" analyze $sounds --jsonl > "$home/program.jsonl"
cmp "$home/library.jsonl" "$home/program.jsonl"
[ "$(wc -l < "$home/program.jsonl")" -eq "$(echo "$sounds" | wc -l)" ]
[ "$(wc -l < "$here/examples/analyze.c")" -lt 60 ]
if "$SM_BUILD/examples/analyze" no-such.wav 2> "$home/err"; then
    echo "a missing file is no error"; exit 1
fi
grep -q 'no-such.wav' "$home/err"

# ---- generate: a sound file by a small MusicGen of made-up weights, the same as the command's ----
small=tests/data/models/musicgen/pipeline
[ -x "$SM_BUILD/examples/generate" ] || { echo "examples/generate was not built"; exit 1; }
"$SM_BUILD/examples/generate" musicgen-small=$small/musicgen.safetensors 'a loop' "$home/library.wav" $small/t5.safetensors \
    > "$home/out" 2> "$home/err"
grep -q '^64000 frames at 32000 Hz, 64000 of them heard' "$home/out"
grep -q 'CC BY-NC' "$home/err"
"$SM_PROGRAM" generate 'a loop' -n musicgen-small=$small/musicgen.safetensors --t5 $small/t5.safetensors --duration 2 -q \
    -o "$home/program.wav" > /dev/null
cmp "$home/library.wav" "$home/program.wav"
if "$SM_BUILD/examples/generate" musicgen-small ' ' "$home/none.wav" 2> "$home/err"; then
    echo "a missing model is no error"; exit 1
fi
grep -q 'models pull musicgen-small' "$home/err"
[ ! -e "$home/none.wav" ]
