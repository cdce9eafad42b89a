#!/bin/sh
# generate: what is said, and with which exit code, when it cannot begin. Sounds themselves: tests/engine/test_generate.c.
set -u
program=${SM_PROGRAM:?}
home=$(mktemp -d) || exit 1
trap 'rm -rf "$home"' EXIT
export SAMPLEMIND_HOME="$home"
failed=0

# expect CODE WORDS ARGUMENTS...
expect() {
    code=$1 words=$2
    shift 2
    text=$("$program" generate "$@" 2>&1)
    got=$?
    if [ $got -ne "$code" ] || ! printf '%s' "$text" | grep -q -e "$words"; then
        echo "generate $*: exit $got, expected $code with \"$words\": $text"
        failed=1
    fi
}

expect 4 'models pull stable-audio-small' 'a drum'
expect 4 'models pull stable-audio-open' 'a drum' -n stable-audio-open
expect 2 'did you mean "stable-audio-open"' 'a drum' -n stable-audio-opem
expect 2 'makes no sound' 'a drum' -n yamnet
expect 2 "PROMPT"
expect 2 'level' 'a drum' --level loud
expect 2 'bpm' 'a drum' --bars 4 --bpm 1000
expect 4 'no-such-file' 'a drum' -n stable-audio-small=no-such-file
[ -z "$(ls "$home")" ] || { echo "something was written: $(ls "$home")"; failed=1; }
exit $failed
