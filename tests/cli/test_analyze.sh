#!/bin/bash
# The commands analyze, pitch, models and bench as a shell sees them: exit codes, what is printed where, what is written.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export SAMPLEMIND_HOME=$place/home
unset SAMPLEMIND_MIRROR HF_TOKEN || true
cd "$place"
cp "$here"/examples/{sine_440,kick,house_loop_128bpm}.wav "$here/examples/melody_c_major.mp3" .
sm=$SM_PROGRAM
fails=0

wrong() { echo "WRONG: $*"; fails=$((fails + 1)); }
# code EXPECTED COMMAND...: leaves out and err
code() {
    local want=$1 got=0
    shift
    "$@" >out 2>err </dev/null || got=$?
    [ "$got" -eq "$want" ] || { wrong "exit code $got, expected $want: $*"; sed 's/^/  | /' err; }
}
says() { grep -qF -- "$1" err || wrong "standard error lacks \"$1\": $(cat err)"; }
prints() { grep -qF -- "$1" out || wrong "standard output lacks \"$1\": $(head -c 400 out)"; }
silent() { [ ! -s err ] || wrong "standard error is not empty: $(cat err)"; }
lines() { [ "$(wc -l <out)" -eq "$1" ] || wrong "$(wc -l <out) lines, expected $1: $(head -c 400 out)"; }

# ---- exit codes ----
code 0 "$sm" analyze sine_440.wav --no-models
silent
lines 1
prints '"note_name":"A4"'
code 2 "$sm" analyze
says 'analyze needs FILE'
code 2 "$sm" analyze sine_440.wav --modles yamnet
says '--models'
code 2 "$sm" analyze sine_440.wav --models yamnett
says 'did you mean "yamnet"'
code 2 "$sm" analyze sine_440.wav -j -3
code 2 "$sm" analyze sine_440.wav --format essentai
code 2 "$sm" analyze sine_440.wav --bpm-min 100 --bpm-max 120
says 'octave'
code 1 "$sm" analyze no-such.wav
says 'no-such.wav'
code 3 "$sm" analyze kick.wav no-such.wav
says 'no-such.wav'
lines 2
code 4 "$sm" analyze kick.wav --models crepe-full
says 'samplemind models pull crepe-full'
prints '"duration_s":0.4'
prints '"what":"crepe-full"'
code 4 "$sm" analyze kick.wav --models yamnet=no-such.tflite
says 'no-such.tflite'

# ---- files that are none ----
echo 'This is a letter.' >letter.wav
: >empty.wav
head -c 60000 sine_440.wav >cut.wav
head -c 30 sine_440.wav >header.wav
mkdir nothing folder.wav
echo notes >nothing/readme.txt
code 3 "$sm" analyze letter.wav empty.wav cut.wav header.wav folder.wav nothing kick.wav --no-models
for f in letter.wav empty.wav header.wav folder.wav nothing; do says "$f"; done
[ "$(grep -c '"failed":\[{' out)" -eq 3 ] || wrong "expected three failed records: $(cut -c1-200 out)"
grep -F '"path":"cut.wav"' out | grep -q '"warning":"' || wrong "a cut file gives no warning: $(grep cut.wav out)"
code 1 "$sm" analyze letter.wav
code 0 "$sm" analyze nothing --json
prints '[]'
if [ "$(id -u)" -ne 0 ]; then
    cp kick.wav secret.wav && chmod 0 secret.wav
    code 1 "$sm" analyze secret.wav
    says 'secret.wav'
    chmod 600 secret.wav
fi

# ---- forms of output ----
is_json() { # reads with whatever is there; the C tests read it with jansson in any case
    if command -v python3 >/dev/null; then python3 -c 'import json,sys
def no(x): raise ValueError(x)
json.load(open("out"), parse_constant=no)' 2>err || wrong "not JSON: $(cat err)"; fi
}
code 0 "$sm" analyze kick.wav sine_440.wav --no-models --json
is_json
[ "$(head -c 1 out)" = '[' ] || wrong "--json of two files is no array"
code 0 "$sm" analyze kick.wav --no-models --json
is_json
[ "$(head -c 1 out)" = '{' ] || wrong "--json of one file is no object"
code 3 "$sm" analyze no-such.wav kick.wav letter.wav --no-models --json
is_json
code 0 "$sm" analyze sine_440.wav kick.wav --no-models --fields note_name,path,bpm
[ "$(head -n 1 out)" = '{"note_name":"A4","path":"sine_440.wav","bpm":null}' ] || wrong "--fields: $(head -n 1 out)"
code 2 "$sm" analyze sine_440.wav --no-models --fields note_name,nonsense
says 'nonsense'
cp sine_440.wav 'a "b", c.wav'
code 0 "$sm" analyze 'a "b", c.wav' --no-models --csv --fields path,note_name,key_confidence,bpm,onset_times_s
[ "$(head -n 1 out)" = 'path,note_name,key_confidence,bpm,onset_times_s' ] || wrong "csv header: $(head -n 1 out)"
grep -qE '^"a ""b"", c\.wav",A4,[0-9.]*,,\[0\]$' out || wrong "csv row: $(tail -n 1 out)"
code 0 "$sm" analyze kick.wav sine_440.wav --no-models --csv
lines 3
cp "$here/examples/cadence_a_minor.flac" .
for n in musical:'A minor' camelot:8A openkey:1m; do
    code 0 "$sm" analyze cadence_a_minor.flac --no-models --key-notation "${n%%:*}" --fields key
    [ "$(cat out)" = "{\"key\":\"${n#*:}\"}" ] || wrong "--key-notation ${n%%:*}: $(cat out)"
done
code 0 "$sm" analyze house_loop_128bpm.wav --no-models --format essentia --json
is_json
prints '"rhythm":{"bpm":128'
prints '"loudness_ebu128":{"integrated":-18.6'
code 3 "$sm" analyze kick.wav sine_440.wav letter.wav --no-models --table
lines 3
code 0 "$sm" analyze kick.wav sine_440.wav --no-models --table
lines 3
silent
code 0 "$sm" analyze sine_440.wav --no-models --table
prints 'A4 +0 cents'
prints '-9.7 LUFS, true peak -6.0 dBTP, dynamics 3.0 dB'
code 0 "$sm" analyze cut.wav --no-models --table
says 'cut.wav: the audio ends after'

# ---- where files come from ----
printf 'kick.wav\nsine_440.wav\n' >list.txt
code 0 "$sm" analyze @list.txt --no-models
lines 2
"$sm" analyze - --no-models <list.txt >out 2>err || wrong "- did not work: $(cat err)"
lines 2
mkdir -p tree/deep/.hidden && cp kick.wav tree/b.WAV && cp kick.wav tree/deep/a.wav && cp kick.wav tree/deep/.hidden/x.wav
cp kick.wav tree/._b.wav && echo x >tree/deep/text.txt && ln -s .. tree/deep/up
code 0 "$sm" analyze tree --no-models --fields path
[ "$(cat out)" = $'{"path":"tree/b.WAV"}\n{"path":"tree/deep/a.wav"}' ] || wrong "the tree: $(cat out)"
cp kick.wav $'dr\xfcm.wav'
code 0 "$sm" analyze $'dr\xfcm.wav' --no-models
prints '"path_base64":"ZHL8bS53YXY="'

# ---- two threads, the same bytes ----
code 0 "$sm" analyze -j1 --no-models kick.wav sine_440.wav house_loop_128bpm.wav melody_c_major.mp3 tree
cp out one
code 0 "$sm" analyze -j2 --no-models kick.wav sine_440.wav house_loop_128bpm.wav melody_c_major.mp3 tree
cmp one out || wrong "-j2 prints other bytes than -j1"

# ---- progress, interruption, closed pipes, full disks ----
code 0 "$sm" analyze tree --no-models --progress json
grep -q '^{"event":"done"' err || wrong "no event of progress: $(cat err)"
many=()
for _ in $(seq 400); do many+=(melody_c_major.mp3); done
"$sm" analyze "${many[@]}" --no-models --jsonl -j1 >out 2>err &
pid=$!
for _ in $(seq 100); do
    [ "$(wc -l <out)" -ge 3 ] && break
    sleep 0.1
done
kill -INT $pid
got=0
wait $pid || got=$?
[ "$got" -eq 130 ] || wrong "interrupted: exit code $got, expected 130"
says 'interrupted'
[ "$(wc -l <out)" -lt 400 ] || wrong "the interrupt came too late to test anything"
[ "$(grep -c '^{.*}$' out)" -eq "$(wc -l <out)" ] || wrong "a line is not whole after an interrupt"
"$sm" analyze "${many[@]}" --no-models --json --fields path -j1 >out 2>err &
pid=$!
sleep 1
kill -INT $pid
got=0
wait $pid || got=$?
[ "$got" -eq 130 ] || wrong "--json interrupted: exit code $got, expected 130"
[ ! -s out ] || is_json # what is there is a whole array
got=0
{ "$sm" analyze "${many[@]}" --no-models 2>err || echo $? >rc; } | head -n 1 >out
grep -q '^{.*}$' out || wrong "no line through head: $(cat out)"
[ ! -s err ] || wrong "a reader that had enough is no error: $(cat err)"
if [ -e /dev/full ]; then
    "$sm" analyze kick.wav --no-models >/dev/full 2>err && wrong "a full disk is no failure"
    says 'cannot write'
fi
(
    ulimit -f 1 # a file may have 1 kB (bash counts in kB): SIGXFSZ would kill
    "$sm" analyze kick.wav sine_440.wav --no-models >limited 2>err && exit 9
    exit 0
) || wrong "a file size limit is no failure"
says 'cannot write'

# ---- pitch ----
mkdir f0
code 0 "$sm" pitch sine_440.wav --model yin -o f0 --extra --midi
[ "$(head -n 1 f0/sine_440.f0.csv)" = 'time,frequency,confidence,note_midi,voiced,rms_db' ] || wrong "the header of f0.csv"
grep -qE '^0\.500,(439\.9|440\.0)[0-9]*,(0\.9|1\.0)[0-9]*,69\.00,1,-9\.[01]$' f0/sine_440.f0.csv || wrong "f0.csv: $(sed -n 52p f0/sine_440.f0.csv)"
[ "$(head -c 4 f0/sine_440.mid)" = MThd ] || wrong "no MIDI file"
code 0 "$sm" pitch sine_440.wav --model yin
head -n 1 sine_440.f0.csv | grep -qx 'time,frequency,confidence' || wrong "no f0.csv beside the input"
code 0 "$sm" pitch sine_440.wav --model yin --json
is_json
code 1 "$sm" pitch sine_440.wav --model yin -o no-such-folder
says 'no-such-folder'
code 3 "$sm" pitch sine_440.wav letter.wav --model yin -o f0
says 'letter.wav'
code 0 "$sm" pitch nothing --model yin
says 'nothing: no sounds in this folder'
code 1 "$sm" pitch no-such.wav --model yin
says 'no-such.wav'
code 4 "$sm" pitch sine_440.wav
says 'samplemind models pull crepe-full'
code 2 "$sm" pitch sine_440.wav --model yun
code 4 "$sm" pitch sine_440.wav --model crepe-tiny=no-such.h5
says 'no-such.h5'

# ---- models ----
code 0 "$sm" models list --table
prints 'crepe-tiny'
code 0 "$sm" models list --json
is_json
code 0 "$sm" models info yamnet
prints 'models pull yamnet'
code 0 "$sm" models info "$here/tests/data/models/tfjs_tiny_f32/model.json"
prints 'tfjs'
code 2 "$sm" models info yamnett
says 'yamnet'
code 2 "$sm" models pull yamnett
code 1 "$sm" models import letter.wav
says 'letter.wav'
code 1 "$sm" models remove yamnet
says 'not installed'
code 0 "$sm" models verify
code 4 "$sm" models verify yamnet
says 'models pull yamnet'
code 0 "$sm" models run crepe-tiny --weights generated --config m=1 --taps "$here/tests/data/models/crepe_made_up_unit.safetensors" -o got.safetensors
[ -s got.safetensors ] || wrong "models run wrote nothing"
code 4 "$sm" models run crepe-tiny "$here/tests/data/models/crepe_made_up_unit.safetensors" -o got.safetensors
code 0 "$sm" bench yamnet -r 1 --json
is_json

[ "$fails" -eq 0 ]
