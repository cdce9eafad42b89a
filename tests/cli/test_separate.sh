#!/bin/bash
# The command separate as a shell sees it: what is written where, exit codes, formats, what is printed.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export SAMPLEMIND_HOME=$place/home
cd "$place"
cp "$here/examples/kick.wav" .
cp "$here/examples/house_loop_128bpm.wav" loop.wav
small=htdemucs=$here/tests/data/models/htdemucs_small_4s.th
sm=$SM_PROGRAM
fails=0

wrong() { echo "WRONG: $*"; fails=$((fails + 1)); }
code() {
    local want=$1 got=0
    shift
    "$@" >out 2>err </dev/null || got=$?
    [ "$got" -eq "$want" ] || { wrong "exit code $got, expected $want: $*"; sed 's/^/  | /' err; }
}
says() { grep -qF -- "$1" err || wrong "standard error lacks \"$1\": $(cat err)"; }
prints() { grep -qF -- "$1" out || wrong "standard output lacks \"$1\": $(head -c 400 out)"; }
there() { [ -s "$1" ] || wrong "$1 is not there"; }
only() { # FOLDER NAME...: nothing else lies there
    local folder=$1 want
    shift
    want=$(printf '%s\n' "$@" | LC_ALL=C sort)
    [ "$(ls -A "$folder" | LC_ALL=C sort)" = "$want" ] || wrong "$folder holds $(ls -A "$folder" | tr '\n' ' ')"
}

# ---- the tree of demucs ----
code 0 "$sm" separate -n "$small" kick.wav --shifts 0
only separated/htdemucs/kick bass.wav drums.wav other.wav vocals.wav
prints '"drums":"separated/htdemucs/kick/drums.wav"'
"$sm" analyze --no-models separated/htdemucs/kick/drums.wav --fields codec,sample_rate_hz,channels >out
prints '"codec":"pcm_f32","sample_rate_hz":44100,"channels":2'

# ---- two stems, formats, patterns ----
code 0 "$sm" separate -n "$small" kick.wav --shifts 0 --two-stems vocals --mp3 -o two
only two/htdemucs/kick no_vocals.mp3 vocals.mp3
code 0 "$sm" separate -n "$small" kick.wav --shifts 0 --two-stems drums --other-method minus --flac -o minus
only minus/htdemucs/kick drums.flac minus_drums.flac
code 0 "$sm" separate -n "$small" kick.wav --shifts 0 --stems bass,drums --opus --filename '{index}-{track}-{stem}.{ext}' -o flat
only flat/htdemucs 1-kick-bass.opus 1-kick-drums.opus
code 0 "$sm" separate -n "$small" loop.wav --shifts 0 --stems bass --filename '{track}_{bpm}_{stem}.{ext}' -o tempo
only tempo/htdemucs loop_128_bass.wav
code 0 "$sm" separate -n "$small" kick.wav --shifts 0 --stems bass --compat demucs -o compat
"$sm" analyze --no-models compat/htdemucs/kick/bass.wav --fields codec >out
prints 'pcm_s16'

# ---- many, some broken ----
echo 'This is a letter.' >letter.wav
code 3 "$sm" separate -n "$small" kick.wav letter.wav no-such.wav --shifts 0 --stems drums -o many --json
says 'letter.wav'
says 'no-such.wav'
there many/htdemucs/kick/drums.wav
[ ! -e many/htdemucs/letter ] || [ -z "$(ls -A many/htdemucs/letter)" ] || wrong "a broken song left files"
mkdir a b
cp kick.wav a/same.wav
cp kick.wav b/same.wav
code 3 "$sm" separate -n "$small" a/same.wav b/same.wav --shifts 0 --stems drums -o same -j 2
says 'would overwrite'
code 0 "$sm" separate -n "$small" a b --shifts 0 --stems drums -o both -j 2 --filename '{index}/{stem}.{ext}' --csv
only both/htdemucs 1 2
prints 'path,stem,file'
code 0 "$sm" separate -n "$small" kick.wav --shifts 0 --overwrite skip --table
prints 'stems are there already'

# ---- wrong usage ----
code 2 "$sm" separate
code 2 "$sm" separate -n "$small" kick.wav --stems guitar
says 'drums, bass, other, vocals'
code 2 "$sm" separate -n "$small" kick.wav --filename '{track}.{ext}'
says '{stem} is missing'
code 2 "$sm" separate -n "$small" kick.wav --segment 60
code 2 "$sm" separate -n "$small" kick.wav --two-stems vocals --stems vocals
code 4 "$sm" separate kick.wav
says 'htdemucs'
code 1 "$sm" separate -n "$small" kick.wav --max-mem 1
says 'MB'
code 0 "$sm" separate --list-models
prints 'htdemucs_6s'

# ---- a folder that cannot be written to ----
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked
    chmod a-w locked
    code 1 "$sm" separate -n "$small" kick.wav --shifts 0 -o locked
    says 'locked'
fi

# ---- Ctrl-C: no half file ----
"$sm" separate -n "$small" loop.wav --shifts 20 -o stopped >out 2>err &
pid=$!
sleep 0.3
kill -INT $pid 2>/dev/null || true
got=0
wait $pid || got=$?
if [ "$got" -eq 130 ]; then
    [ ! -d stopped ] || [ -z "$(find stopped -type f)" ] || wrong "an interrupted run left $(find stopped -type f)"
elif [ "$got" -ne 0 ]; then # 0: it was faster than the signal
    wrong "exit code $got after SIGINT"
fi

[ "$fails" -eq 0 ]
