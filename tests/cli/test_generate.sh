#!/bin/bash
# The command generate as a shell sees it, with small models of made-up weights: what is written where, what is said and printed, exit codes,
# loops that are gone with, Ctrl-C. The sounds themselves: tests/engine/test_generate*.c.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export SAMPLEMIND_HOME=$place/home
cd "$place"
sm=$SM_PROGRAM
data=$here/tests/data/models/musicgen
small="-n musicgen-small=$data/pipeline/musicgen.safetensors --t5 $data/pipeline/t5.safetensors"
melody="-n musicgen-melody=$data/pipeline/melody.safetensors --t5 $data/pipeline/t5.safetensors"
fails=0

wrong() { echo "WRONG: $*"; fails=$((fails + 1)); }
code() {
    local want=$1 got=0
    shift
    "$sm" generate "$@" >out 2>err </dev/null || got=$?
    [ "$got" -eq "$want" ] || { wrong "exit code $got, expected $want: generate $*"; sed 's/^/  | /' err; }
}
says() { grep -qF -- "$1" err || wrong "standard error lacks \"$1\": $(head -c 400 err)"; }
prints() { grep -qF -- "$1" out || wrong "standard output lacks \"$1\": $(head -c 400 out)"; }
only() { # FOLDER NAME...: nothing else lies there
    local folder=$1 want
    shift
    want=$(printf '%s\n' "$@" | LC_ALL=C sort)
    [ "$(ls -A "$folder" | LC_ALL=C sort)" = "$want" ] || wrong "$folder holds $(ls -A "$folder" | tr '\n' ' ')"
}

# ---- before any weights are opened (they are missing here) ----
code 4 'a drum'
says 'models pull stable-audio-small'
code 4 'a drum' -n stable-audio-open
says 'models pull stable-audio-open'
code 4 'a drum' -n musicgen-small
says 'models pull musicgen-small'
code 2 'a drum' -n stable-audio-opem
says 'did you mean "stable-audio-open"'
code 2 'a drum' -n yamnet
says 'makes no sound'
code 4 'a drum' -n stable-audio-small=no-such-file
says 'no-such-file'
code 2
says 'PROMPT'
code 2 ''
says 'an empty prompt'
code 2 $' \t\n'
says 'an empty prompt'
code 2 "$(head -c 10000 /dev/zero | tr '\0' x)"
says '10000 bytes'
code 2 'a drum' --level loud
code 2 'a drum' --bars 4 --bpm 1000
code 2 'a drum' --bars 4
says 'needs a tempo'
code 2 'a drum' --duration 0
code 2 'a drum' --bars 4 --bpm 120 --duration 3
says 'do not go together'
code 2 'a drum' --key 'H dur'
says 'no key'
code 1 'a drum' --continue none.wav
says 'none.wav'
code 1 'a drum' --init none.wav
says 'none.wav'
code 1 'a drum' --melody none.wav
says 'none.wav'
code 1 'a drum' --like none.wav
says 'none.wav'
echo 'This is a letter.' >letter.wav
code 1 'a drum' --continue letter.wav
says 'letter.wav'
code 1 'a drum' --like letter.wav
says 'letter.wav'
code 2 'a drum' --like "$here/examples/silence.wav"
says 'nothing to go with'
[ ! -e "$place/home" ] || [ -z "$(ls -A "$place/home")" ] || wrong "something was written: $(ls "$place/home")"

# ---- with weights ----
code 2 'a drum' $small --duration 3600
says '3600 s'
code 2 'a drum' $small --steps 8
says 'MusicGen has none'
code 2 'a drum' $small --init "$here/examples/kick.wav"
says 'varies no sound'
code 2 'a drum' $small --melody "$here/examples/kick.wav"
says 'follows no melody'
code 2 'a drum' $melody --melody "$here/examples/silence.wav"
says 'is silent'
code 2 'a drum' $small --continue "$here/examples/silence.wav"
says 'is silent'
code 1 'a drum' $small --max-mem 1
says '1 MB is the limit'
head -c 20000 "$data/ac/state_dict.bin" >cut.bin
code 1 'a drum' -n musicgen-small=cut.bin
says 'cut.bin'
code 1 'a drum' -n "musicgen-small=$data/pipeline/encodec.safetensors"
says 'holds encodec'
mkdir t5 && cp "$data/pipeline/encodec.safetensors" t5/model.safetensors
code 1 'a drum' -n "musicgen-small=$data/pipeline/musicgen.safetensors" --t5 t5/model.safetensors
says "not the weights of T5's encoder"

# ---- names, seeds, what is told ----
code 0 'Warm house loop, dry!' $small --duration 0.5 --seed 7 -o one --table
only one warm_house_loop_dry_7.wav
says 'MB; CC BY-NC'
prints 'one/warm_house_loop_dry_7.wav  0.50 s, peak'
code 0 'a loop' $small --duration 0.5 --seed 7 -o named.wav --json
prints '"path":"named.wav","seed":7,"seconds":0.5,"frames":16000,"sample_rate_hz":32000,"channels":1'
prints '"recipe":{"samplemind":'
[ "$(head -c 1 out)" = '{' ] || wrong "one sound is no object"
code 0 'a loop' $small --duration 0.5 --n 3 --seed 7 -o three --json
only three a_loop_7.wav a_loop_8.wav a_loop_9.wav
says '3 sounds side by side'
[ "$(head -c 1 out)" = '[' ] && [ "$(tail -c 2 out)" = ']' ] || wrong "several sounds are no array"
code 0 'a loop' $small --duration 0.5 --n 3 --seed 7 -o alone --one-by-one --jsonl -q
[ "$(grep -c '^{"path"' out)" -eq 3 ] || wrong "three sounds are $(wc -l <out) lines"
[ ! -s err ] || wrong "--quiet says $(cat err)"
wide=$(grep -c -m1 avx512f /proc/cpuinfo || true) # narrower products add up more rows in another order (docs/generate.md)
for seed in 7 8 9; do [ "$wide" -eq 0 ] || cmp three/a_loop_$seed.wav alone/a_loop_$seed.wav || wrong "seed $seed differs side by side"; done
code 0 'a loop' $small --duration 0.5 --seed 8 -o again.wav
cmp again.wav alone/a_loop_8.wav || wrong 'a sound is not made again by its recipe'
rm three/a_loop_8.wav
code 0 'a loop' $small --duration 0.5 --n 3 --seed 7 -o three --overwrite skip --csv
says 'a_loop_7.wav is there'
[ "$(wc -l <out)" -eq 2 ] || wrong "left two of three, but printed $(cat out)"
prints 'path,seed,seconds,bpm,key,misses'
cmp three/a_loop_8.wav alone/a_loop_8.wav || wrong 'what was missing is another sound'
code 0 'a loop' $small --duration 0.5 -o short.flac --int16
"$sm" analyze --no-models short.flac --fields codec,duration_s >out
prints '0.5'
code 0 'a loop' $small --duration 1 -o events.wav --progress json
says '"event":"start","path":"events.wav"'
says '"event":"done","path":"events.wav"'
code 0 'a loop' $small --bars 1 --bpm 240 -o bars.wav --json
prints '"frames":32000'
prints '"loop_jump"'
prints '"bpm":240'
[ "$(grep -o '"prompt":"[^"]*"' out)" = '"prompt":"a loop, 240 BPM"' ] || wrong "tempo is not in the prompt: $(cat out)"

# ---- a loop that is gone with ----
loop=$here/examples/house_loop_128bpm.wav
code 0 'fill' --like "$loop" --show-prompt
grep -q '^fill, .*128 BPM, 4/4$' out || wrong "the prompt is $(cat out)"
code 0 'warm pads' --like "$here/examples/cadence_a_minor.flac" --show-prompt
grep -q '^warm pads, .* BPM, 4/4, A minor$' out || wrong "the prompt is $(cat out)"
code 0 'fill' --like "$loop" $small -o like --jsonl
only like fill_0.wav fill_1.wav fill_2.wav
[ "$(grep -c '"frames":120001' out)" -eq 3 ] || wrong "not as long as the loop, 82,688 samples of 22,050 Hz: $(grep -o '"frames":[0-9]*' out)"
prints '"like":"house_loop_128bpm.wav"'
code 2 'fill' --like "$loop" $small --bpm 100
says 'tempo from the loop'
code 0 'fill' --like "$loop" $small --n 1 --tries 3 -o best.wav --json
prints '"misses":['
[ -s best.wav ] || wrong 'no best.wav'

# ---- Ctrl-C ----
mkdir stopped
"$sm" generate 'long' $small --duration 20 --n 90 --one-by-one -o stopped >out 2>err </dev/null &
pid=$!
for _ in $(seq 600); do [ -e stopped/long_1.wav ] && break; sleep 0.1; done
kill -INT $pid
got=0
wait $pid || got=$?
[ "$got" -eq 130 ] || wrong "interrupted: exit code $got"
[ -e stopped/long_0.wav ] && [ ! -e stopped/long_89.wav ] || wrong "interrupted: $(ls stopped)"
for f in stopped/*; do
    [[ $f == stopped/long_*.wav ]] || wrong "interrupted: $f is left"
    [ "$("$sm" analyze --no-models "$f" --fields duration_s --csv | tail -1 | grep -c 20)" -eq 1 ] || wrong "$f is not whole"
done
mkdir part
"$sm" generate 'long' $small --duration 600 --n 2 --keep-part --progress json -o part >out 2>err </dev/null &
pid=$!
for _ in $(seq 600); do [ "$(grep -c '"event":"progress"' err)" -ge 4 ] && break; sleep 0.1; done
kill -INT $pid
got=0
wait $pid || got=$?
[ "$got" -eq 130 ] || wrong "interrupted with --keep-part: exit code $got"
only part long_0_part.wav long_1_part.wav
prints '"partial":true'

# ---- licences are seen before weights are ----
"$sm" models list --table >out
grep -q 'musicgen-small .*CC BY-NC 4.0' out || wrong "models list has no licence of musicgen-small"
"$sm" models info musicgen-small >out
prints 'not for commercial use'
"$sm" models import "$data/ac/state_dict.bin" "$data/ac/compression_state_dict.bin" "$data/pipeline/t5.safetensors" >out 2>err || wrong "import: $(cat err)"
prints 'imported as musicgen-small (licence: CC BY-NC 4.0'
code 0 'a loop' -n musicgen-small --duration 0.5 --seed 8 -o installed.wav --json
prints '"model":"musicgen-small"'
code 2 'a loop' -n musicgen-small --duration 601
[ $fails -eq 0 ]
