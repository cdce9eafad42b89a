#!/bin/sh
# similar and map, as somebody at a terminal uses them.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SAMPLEMIND_HOME="$work/home"
fail() {
    echo "$*" >&2
    exit 1
}

mkdir "$work/sounds"
cp examples/*.wav "$work/sounds"
n=$(ls "$work/sounds" | wc -l)
first=$(ls "$work/sounds"/*.wav | head -n 1)

status=0
"$SM_PROGRAM" similar "$first" > /dev/null 2> "$work/err" || status=$?
[ $status -ne 0 ] || fail "a library that is not there was searched"
"$SM_PROGRAM" scan -q "$work/sounds" > /dev/null

"$SM_PROGRAM" similar "$first" --json > "$work/one"
grep -q '"count":' "$work/one" || fail "no count: $(cat "$work/one")"
grep -q '"approximate":false' "$work/one" || fail "not exact: $(cat "$work/one")"
grep -q "\"path\":\"$first\",\"id\"" "$work/one" && fail "the file itself is among its neighbours"
"$SM_PROGRAM" similar "$first" --json > "$work/two"
cmp -s "$work/one" "$work/two" || fail "asked twice, answered differently"
[ "$("$SM_PROGRAM" similar "$first" -n 1 --jsonl | wc -l)" -eq 1 ] || fail "-n 1 gives another number"

# a file that the library does not know is heard now; its copy in the library is its nearest
cp "$first" "$work/other.wav"
printf 'LIST\004\000\000\000INFO' >> "$work/other.wav"
"$SM_PROGRAM" similar "$work/other.wav" -n 1 --jsonl | grep -q "$(basename "$first")" || fail "a copy is not the nearest"

# every aspect of every result is told, whatever it is ranked by
"$SM_PROGRAM" similar "$first" --by timbre=1,pitch=0 --jsonl > "$work/by"
grep -q '"similarity":\([0-9.]*\),"overall":[0-9.e-]*,"timbre":\1,"pitch":[0-9.e-]*,"envelope":[0-9.e-]*,"rhythm":' "$work/by" ||
    fail "the similarity by timbre alone is not that of the timbre, or an aspect is missing: $(cat "$work/by")"
"$SM_PROGRAM" similar "$first" --csv | head -n 1 | grep -qx 'path,id,distance,similarity,overall,timbre,pitch,envelope,rhythm' || fail "columns of --csv"
"$SM_PROGRAM" similar "$first" --table | head -n 1 | grep -q 'similarity *overall *timbre *pitch *envelope *rhythm' || fail "columns of the table"
status=0
"$SM_PROGRAM" similar "$first" --by colour=1 > /dev/null 2> "$work/err" || status=$?
[ $status -eq 2 ] || fail "an aspect that does not exist: status $status"
grep -q colour "$work/err" || fail "the message does not name the aspect"

"$SM_PROGRAM" map -q -o "$work/map.html"
grep -q '</html>' "$work/map.html" || fail "no page"
grep -q 'http' "$work/map.html" && fail "the page wants the network"
"$SM_PROGRAM" map -q -o "$work/map.svg"
grep -c '<circle' "$work/map.svg" > "$work/circles"
[ "$(cat "$work/circles")" -le "$n" ] || fail "more circles than sounds"
"$SM_PROGRAM" map -q > "$work/a.json"
"$SM_PROGRAM" map -q > "$work/b.json"
cmp -s "$work/a.json" "$work/b.json" || fail "sounds that have a place moved"
