#!/bin/sh
# dataset, train and eval, as somebody at a terminal uses them: from made sounds to a judged model, through a kill.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SAMPLEMIND_HOME="$work/home"
fail() {
    echo "$*" >&2
    exit 1
}
set="$work/small.dataset"

# three classes, made here, on both sides of the split
"$SM_PROGRAM" dataset synth -q -D "$set" -n 16 --label kick,snare,hihat-closed -o "$work/made" > /dev/null
"$SM_PROGRAM" dataset synth -q -D "$set" -n 3 --label kick,snare,hihat-closed --split val --seed 100000 -o "$work/unseen" > /dev/null
"$SM_PROGRAM" dataset stats -D "$set" --jsonl | grep -q '"label":"kick"' || fail "no kick was made"
"$SM_PROGRAM" dataset export -q -D "$set" -o "$work/labels.csv" > /dev/null
head -n 1 "$work/labels.csv" | grep -q '^path,class,split,family' || fail "another heading: $(head -n 1 "$work/labels.csv")"

train() {
    "$SM_PROGRAM" train "$set" --arch tiny -e 20 -b 32 -j 2 --lr 0.01 --weights f32 --progress json --seed 5 "$@"
}
train -o "$work/whole.safetensors" > "$work/out" 2> "$work/whole.log"
grep -q whole.html "$work/out" || fail "no report: $(cat "$work/out")"
[ "$(grep -c '"epoch"' "$work/whole.log")" -eq 20 ] || fail "not a line an epoch: $(cat "$work/whole.log")"
[ ! -e "$work/whole.safetensors.checkpoint.safetensors" ] || fail "a checkpoint is left"

# killed without warning somewhere behind its second epoch, and gone on with: the same tensors
: > "$work/killed.log"
train -o "$work/killed.safetensors" > /dev/null 2> "$work/killed.log" &
pid=$!
while [ "$(grep -c '"epoch"' "$work/killed.log" 2> /dev/null || true)" -lt 2 ] && kill -0 $pid 2> /dev/null; do sleep 0.05; done
kill -9 $pid 2> /dev/null || fail "it was done before it could be killed"
wait $pid 2> /dev/null || true
[ ! -e "$work/killed.safetensors" ] || fail "a model was written before its training was done"
train -o "$work/killed.safetensors" --resume > /dev/null 2> "$work/resumed.log"
[ "$(grep -c '"epoch"' "$work/resumed.log")" -lt 20 ] || fail "it began again"
# what is told of time differs: tensors come behind the header, whose length stands in the first eight bytes
tensors() {
    n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
    tail -c +$((n + 9)) "$1" | cksum
}
[ "$(tensors "$work/whole.safetensors")" = "$(tensors "$work/killed.safetensors")" ] || fail "resumed, but another network"

# judged: the two are one, so the gain is nothing; far better than chance on what it has not heard
"$SM_PROGRAM" eval "$work/whole.safetensors" "$set" "$work/killed.safetensors" --json --no-latency > "$work/eval"
tr -d ' \n' < "$work/eval" | grep -q '"top1_gain":\[0\(\.0\)*,' || fail "twins differ: $(tail -c 200 "$work/eval")"
tr -d ' \n' < "$work/eval" | sed 's/.*"top1":\[\([0-9.]*\),.*/\1/' > "$work/top1"
awk '{ exit !($1 >= 0.6) }' "$work/top1" || fail "top-1 $(cat "$work/top1") of three classes"
"$SM_PROGRAM" eval "$work/whole.safetensors" "$set" --side train --no-latency > /dev/null || fail "train is no side"
# as analyze says it, with this model in the place of ours
"$SM_PROGRAM" eval "analyze=samplemind=$work/whole.safetensors" "$set" --json --no-latency > "$work/analyze"
tr -d ' \n' < "$work/analyze" | sed 's/.*"top1":\[\([0-9.]*\),.*/\1/' > "$work/top1-analyze"
awk 'NR == FNR { a = $1; next } { d = a - $1; exit !(d < 0.1 && d > -0.1) }' "$work/top1" "$work/top1-analyze" ||
    fail "analyze judges otherwise: $(cat "$work/top1-analyze"), the model alone $(cat "$work/top1")"

# what ships is judged by its name, in a tree that has it
if "$SM_PROGRAM" models list --jsonl | grep '"name":"samplemind",' | grep -q '"installed":true'; then
    "$SM_PROGRAM" eval samplemind "$work/labels.csv" --no-latency > /dev/null || fail "the model that ships is not found"
fi

# what is wrong is said
expect() {
    code=$1 words=$2
    shift 2
    status=0
    text=$("$SM_PROGRAM" "$@" 2>&1) || status=$?
    [ $status -eq "$code" ] || fail "$*: exit $status, expected $code: $text"
    printf '%s' "$text" | grep -q -e "$words" || fail "$*: does not say \"$words\": $text"
}
expect 2 'res-freqq' train "$set" --arch res-freqq
expect 2 'needs --on' train "$set" --tune
expect 2 'crepe-tiny' train "$set" --on crepe-tiny
expect 1 'models pull yamnet' train "$set" --on yamnet --tune -o "$work/tuned.safetensors"
expect 1 'models pull yamnet' eval analyze=yamnet "$set"
expect 1 'nothing-here' eval "$work/nothing-here.safetensors" "$set"
expect 2 'learns nothing' train --average "$work/whole.safetensors,$work/whole.safetensors" --on yamnet
expect 2 'a mean is of two' train --average "$work/whole.safetensors" -o "$work/mean.safetensors"
expect 2 'without norms' train --average "$work/whole.safetensors,$work/whole.safetensors" -o "$work/mean.safetensors"
[ ! -e "$work/mean.safetensors" ] || fail "a mean that was refused was written"
