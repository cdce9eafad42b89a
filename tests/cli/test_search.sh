#!/bin/sh
# search as a user meets it: a scan of the examples, then questions about them.
set -eu
program=${SM_PROGRAM:?}
here=$(cd "$(dirname "$0")/../.." && pwd)
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
export SAMPLEMIND_HOME="$home"
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
# expects QUERY, the first name found, and how many there are
expects() {
    found=$("$program" search --paths "$1" | sed 's,.*/,,')
    [ "$(echo "$found" | head -1)" = "$2" ] || fail "$1: found $found, expected $2 first"
    [ "$(echo "$found" | grep -c .)" = "$3" ] || fail "$1: found $found, expected $3"
}

"$program" search kick 2>"$home/err" && fail "a library that is not there"
grep -q "samplemind scan" "$home/err" || fail "says how a library is made: $(cat "$home/err")"
"$program" scan -q "$here/examples" >/dev/null
expects "kind:silence" silence.wav 1
expects "key:~Am loop:yes" cadence_a_minor.flac 4
expects "bpm:174" jungle_loop_174.ogg 1
expects "name:kick" kick.wav 1
expects "container:wav -loop:yes kick" kick.wav 1
"$program" search --paths "dark kick" | head -1 | grep -q "kick.wav$" || fail "dark kick"
expects "xyzzy" "" 0

[ "$("$program" search --json "bpm:170..180" --fields bpm,kind | tr -d ' ')" = \
    '{"count":1,"query":"bpm:170..180","results":[{"bpm":174,"kind":"loop"}],"cursor":null}' ] || fail "--json"
[ "$("$program" search --csv "bpm:174" --fields bpm,key)" = "bpm,key
174," ] || fail "--csv"
"$program" search "dark kick" -n 1 --explain --table | grep -q "dark .*percentile of" || fail "--explain"

# pages: each sound once
cursor=
for page in 1 2 3 4 5 6 7 8; do
    "$program" search --json "" -n 3 ${cursor:+--cursor "$cursor"} >"$home/page"
    grep -o '"path":"[^"]*"' "$home/page" >>"$home/paths"
    cursor=$(sed -n 's/.*"cursor":"\([^"]*\)".*/\1/p' "$home/page")
    [ -n "$cursor" ] || break
done
[ "$(sort "$home/paths" | uniq | wc -l)" = "$(wc -l <"$home/paths")" ] || fail "pages repeat"
[ "$(wc -l <"$home/paths")" = "$("$program" search --paths --limit 0 "" | wc -l)" ] || fail "pages skip"

code=0
"$program" search bpn:120 2>"$home/err" || code=$?
[ $code = 2 ] && grep -q "did you mean bpm" "$home/err" || fail "an unknown field: $code, $(cat "$home/err")"
"$program" search --thesaurus | grep -q "^kick,class,kick,=,1$" || fail "--thesaurus"
printf 'word,kind,target,direction,weight\nwurst,descriptor,kind,loop,1\n' >"$home/library/thesaurus.csv"
"$program" search --paths wurst | grep -q cadence || fail "an own thesaurus"
