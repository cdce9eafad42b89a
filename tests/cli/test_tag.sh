#!/bin/bash
# tag, export, rename, dupes as a shell sees them: what is written is read back by readers that are not ours (tests/cli/read_tags.py), undo gives
# every byte back, and what is cut short or fails loses nothing.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
command -v python3 >/dev/null || { echo "python3 is not here to read what is written"; exit 77; }
place=$(mktemp -d)
trap 'umount "$place/disk" 2>/dev/null; rm -rf "$place"' EXIT
export SAMPLEMIND_HOME=$place/home
cd "$place" || exit 1
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
prints() { grep -qF -- "$1" out || wrong "standard output lacks \"$1\": $(head -c 600 out)"; }
lacks() { ! grep -qF -- "$1" out || wrong "standard output has \"$1\": $(head -c 600 out)"; }
tags() { python3 "$here/tests/cli/read_tags.py" "$1"; }
has() { tags "$1" 2>tags_err | grep -xF -- "$2" >/dev/null || wrong "$1 lacks $2: $(tags "$1" 2>&1 | tr '\n' ' ')"; }
audio() { tags "$1" | grep ^audio=; }
sums() { find "$1" -type f | LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum; }
nothing_left() { [ -z "$(find "$1" -name '*.tmp*' -o -name '.*' -type f)" ] || wrong "left behind: $(find "$1" -name '*.tmp*' -o -name '.*' -type f)"; }

# ---- a collection of all kinds ----
mkdir -p in/sub
cp "$here"/examples/{kick.wav,bass_e1.wav,noise.aiff,cadence_a_minor.flac,jungle_loop_174.ogg,melody_c_major.mp3,melody_c_major.opus,melody_c_major.m4a} in
cp "$here/examples/house_loop_128bpm.wav" "in/sub/house & 'loop'.wav"
cp in/kick.wav in/sub/copy.wav
sums in >before
code 0 "$sm" scan -q in
find in -type f -name '*.*' ! -name '*.m4a' | LC_ALL=C sort >files

# ---- a rehearsal changes nothing ----
code 0 "$sm" tag @files --dry-run --set genre=House
sums in | cmp -s - before || wrong "--dry-run changed a file"
code 1 "$sm" tag --undo
says "no tags that could be taken back"

# ---- written, read by others, the audio as it was ----
for f in $(ls in | grep -v m4a | grep '\.'); do audio "in/$f" >"audio_$f"; done
code 0 "$sm" tag @files --set title=Tïtle --set comment=mine --set genre=House --set mood=dark --set bpm=174 --set key=8A --set instrument=Rim
for f in $(ls in | grep -v m4a | grep '\.'); do [ "$(audio "in/$f")" = "$(cat "audio_$f")" ] || wrong "the audio of $f is another"; done
for f in in/kick.wav in/noise.aiff in/melody_c_major.mp3; do
    for t in id3.TIT2=Tïtle id3.COMM=mine id3.TCON=House id3.TBPM=174 id3.TKEY=Am id3.TXXX:INSTRUMENT=rim; do
        tags "$f" | grep -ixF -- "$t" >/dev/null || wrong "$f lacks $t: $(tags "$f" | tr '\n' ' ')"
    done
done
for f in in/cadence_a_minor.flac in/jungle_loop_174.ogg in/melody_c_major.opus; do
    for t in TITLE=Tïtle COMMENT=mine GENRE=House MOOD=dark BPM=174 INITIALKEY=Am KEY=Am INSTRUMENT=rim; do has "$f" "vorbis.$t"; done
done
has in/kick.wav info.INAM=Tïtle
has in/kick.wav info.IGNR=House
has in/kick.wav acid.one_shot=1
has "in/sub/house & 'loop'.wav" acid.one_shot=0
has "in/sub/house & 'loop'.wav" acid.tempo=174.00
has "in/sub/house & 'loop'.wav" acid.meter=4/4
has "in/sub/house & 'loop'.wav" smpl.loops=1
nothing_left in
# what was said stands in the library, for copies too, before and after the next scan
for round in 1 2; do
    code 0 "$sm" export in/sub/copy.wav in/kick.wav --as jsonl --fields instrument,bpm,key,key_camelot,genre,corrected
    [ "$(sort -u out)" = '{"instrument":"rim","bpm":174,"key":"A minor","key_camelot":"8A","genre":"House","corrected":["bpm","genre","instrument","key","mood"]}' ] ||
        wrong "round $round: the word is not kept: $(cat out)"
    [ "$round" = 1 ] && code 0 "$sm" scan -q
done
code 0 "$sm" search "instrument:rim" --paths
[ "$(wc -l <out)" -ge 6 ] || wrong "found by the user's word: $(cat out)"
# the same again is nothing to do
sums in >tagged
code 0 "$sm" tag @files --set-only --set bpm=174
sums in | cmp -s - tagged || wrong "the same value was written again"
# undo: every byte
code 0 "$sm" tag --undo
says "9 files are as before"
sums in | cmp -s - before || wrong "undo did not give all bytes back: $(sums in | diff - before | head -4)"

# ---- where it cannot be written: said, and nothing lost ----
code 1 "$sm" tag in/melody_c_major.m4a --set bpm=100
says "tags are not written into an MP4 file; your word is kept in the library"
sums in | cmp -s - before || wrong "an m4a was touched"
code 0 "$sm" tag --unset bpm --in-library in/melody_c_major.m4a
# a file that was changed since is not overwritten by undo
cp in/kick.wav other.wav
code 0 "$sm" tag in/kick.wav in/bass_e1.wav --set-only --set genre=Techno
printf 'LIST\004\000\000\000INFO' >>in/kick.wav
code 3 "$sm" tag --undo
says "was changed since"
cp -p other.wav in/kick.wav
sums in | cmp -s - before || wrong "undo beside a changed file"
# a limit on the size of files stands for a full disk
code 1 bash -c "ulimit -f 20; exec '$sm' tag '$place/in/sub/house & '\"\\'loop\\'\".wav --set-only --set genre=x"
sums in | cmp -s - before || wrong "a write that failed changed something"
nothing_left in
mkdir disk
if mount -t tmpfs -o size=1500k none disk 2>/dev/null; then
    cp "in/sub/house & 'loop'.wav" disk/loop.wav && head -c 2000000 /dev/zero >disk/fill 2>/dev/null
    sha256sum disk/loop.wav >disk_before
    code 1 "$sm" tag disk/loop.wav --set-only --set genre=x
    says "No space left"
    sha256sum -c --quiet disk_before || wrong "a full disk cost the file"
    [ "$(ls -A disk | tr '\n' ' ')" = "fill loop.wav " ] || wrong "left on the full disk: $(ls -A disk)"
    rm disk/fill && mount -o remount,ro disk
    code 1 "$sm" tag disk/loop.wav --set-only --set genre=x
    sha256sum -c --quiet disk_before || wrong "a disk that may only be read"
    umount disk
fi

# ---- cut short at any moment: each file is the old or the new one, and undo leads back ----
mkdir many
for i in $(seq 15); do cp in/kick.wav "many/k$i.wav"; done
sums many >many_before
audio many/k1.wav >many_audio
for delay in 0.03 0.1 0.2; do
    "$sm" tag many --set-only --set genre="Round $delay" >/dev/null 2>&1 &
    pid=$!
    sleep $delay
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ "$(python3 "$here/tests/cli/read_tags.py" many/k*.wav | grep ^audio= | sort -u)" = "$(cat many_audio)" ] ||
        wrong "audio after a kill at $delay s: $(python3 "$here/tests/cli/read_tags.py" many/k*.wav 2>&1 | tail -1)"
    while "$sm" tag --undo >/dev/null 2>&1; do :; done
    rm -f many/.*.tmp* many/*.tmp*
    find many -type f ! -name 'k*.wav' -delete
    sums many | cmp -s - many_before || wrong "killed after $delay s, undo leads elsewhere: $(sums many | diff - many_before | wc -l) lines"
done

# ---- only of the library ----
code 0 "$sm" tag in/bass_e1.wav --set note=C2 --set kind=loop --in-library --json
prints '"field":"note_midi","where":"library"'
sums in | cmp -s - before || wrong "--in-library wrote a file"
code 0 "$sm" export --where "name:bass note:C2" --as m3u8 # whatever asks first sees it
prints "bass_e1.wav"
code 0 "$sm" tag in/bass_e1.wav --set note=C3 --in-library --dry-run --csv
[ "$(tail -n +2 out)" = "in/bass_e1.wav,note_midi,library,36,48,0" ] || wrong "--csv: $(cat out)"
code 0 "$sm" search "name:bass note:C2 loop:yes" --paths
[ "$(wc -l <out)" = 1 ] || wrong "a correction is not found"
code 0 "$sm" tag in/bass_e1.wav --unset note --unset kind --in-library
code 0 "$sm" search "name:bass loop:yes" --paths
[ ! -s out ] || wrong "a correction that was taken back is still found"
code 2 "$sm" tag in/bass_e1.wav --set bqm=1
says "did you mean \"bpm\""
code 2 "$sm" tag in/bass_e1.wav --in-library
code 1 "$sm" tag other.wav --set kind=loop --in-library
says "samplemind scan takes it in"

# ---- on a query ----
code 0 "$sm" tag --where "container:flac" --add "to do" --json
code 0 "$sm" search "tag:\"to do\"" --paths
grep -q cadence_a_minor.flac out && [ "$(wc -l <out)" = 1 ] || wrong "--where tags other sounds: $(cat out)"
code 0 "$sm" tag in/sub --where "container:flac" --add nothing
says "finds nothing among these files"
code 0 "$sm" tag --where 'tag:"to do"' --remove "to do"
code 2 "$sm" tag --where 'nofield:1' --add x

# ---- exports, read by others ----
code 0 "$sm" export -o all.csv --fields path,kind,bpm
python3 - all.csv <<'P' || wrong "the CSV reads otherwise"
import csv, sys
rows = list(csv.reader(open(sys.argv[1], newline="", encoding="utf-8")))
assert rows[0] == ["path", "kind", "bpm"] and len(rows) == 11, rows
assert any(r[0].endswith("house & 'loop'.wav") and r[1] == "loop" and r[2] == "174" for r in rows), rows
P
code 0 "$sm" export --as rekordbox -o all.xml
python3 - all.xml "$place" <<'P' || wrong "Rekordbox's XML reads otherwise"
import sys, urllib.parse, xml.etree.ElementTree as E
root = E.parse(sys.argv[1]).getroot()
tracks = root.findall("COLLECTION/TRACK")
assert root.tag == "DJ_PLAYLISTS" and root.find("COLLECTION").get("Entries") == str(len(tracks)) == "10", len(tracks)
places = [urllib.parse.unquote(t.get("Location")) for t in tracks]
assert "file://localhost" + sys.argv[2] + "/in/sub/house & 'loop'.wav" in places, places
assert len({t.get("TrackID") for t in tracks}) == 10
P
code 0 "$sm" export in --as ableton
python3 -c 'import sys, xml.etree.ElementTree as E; E.parse(sys.argv[1])' out || wrong "the XMP is no XML"
code 0 "$sm" export --as json
python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); assert len(r) == 10 and all("audio_xxh128" in x for x in r)' out || wrong "the JSON reads otherwise"
code 0 "$sm" favourite in/kick.wav in/noise.aiff
code 0 "$sm" favourite --list
[ "$(wc -l <out)" = 3 ] || wrong "favourites: $(cat out)" # the kick lies in two places
code 0 "$sm" collection add "A Kit" in/noise.aiff --where fav:yes
code 0 "$sm" collection add "A Kit" --where "name:bass_e1"
code 0 "$sm" collection list --json
[ "$(cat out)" = '[{"collection":"A Kit","sounds":2}]' ] || wrong "collections: $(cat out)"
code 0 "$sm" export --where 'in:"A Kit" sort:path' --as m3u8 --name Kit
[ "$(grep -v '^#' out | sed 's,.*/,,' | tr '\n' ' ')" = "bass_e1.wav noise.aiff " ] && grep -qx '#PLAYLIST:Kit' out || wrong "a playlist: $(cat out)"
code 0 "$sm" export --where 'in:"A Kit" xyzzy' --as json
[ "$(tr -d ' \n' <out)" = "[]" ] || wrong "nothing found, and exported: $(cat out)"
code 0 "$sm" collection remove "A Kit" in/noise.aiff
code 0 "$sm" collection list "A Kit"
[ "$(wc -l <out)" = 1 ] || wrong "taken out: $(cat out)"
code 0 "$sm" collection delete "A Kit"
code 1 "$sm" collection delete "A Kit"
code 0 "$sm" favourite --remove --where fav:yes
code 0 "$sm" favourite --list
[ ! -s out ] || wrong "favourites after all were taken away: $(cat out)"
code 2 "$sm" favourite

# ---- names ----
code 0 "$sm" rename --where "container:wav -name:house" -p '{name} {kind}' --dry-run
sums in | cmp -s - before || wrong "rename --dry-run renamed"
prints "kick one_shot.wav"
code 0 "$sm" rename --where "container:wav -name:house" -p '{name} {kind}'
[ -f "in/kick one_shot.wav" ] && [ -f "in/sub/copy one_shot.wav" ] && [ ! -e in/kick.wav ] || wrong "renamed: $(ls in in/sub)"
code 0 "$sm" search 'name:"kick one"' --paths
prints "kick one_shot.wav"
code 0 "$sm" rename --undo
sums in | cmp -s - before || wrong "rename --undo: $(sums in | diff - before)"
code 3 "$sm" rename in -p 'the same'
sums in | awk '{ print $1 }' | sort >sums_now
awk '{ print $1 }' before | sort | cmp -s - sums_now || wrong "a file was lost where names collide"
code 0 "$sm" rename --undo
sums in | cmp -s - before || wrong "undo after names that collide"
code 2 "$sm" rename in -p '{bpm'

# ---- doubles ----
code 0 "$sm" dupes in --json
python3 - out <<'P' || wrong "groups of doubles"
import json, sys
d = json.load(open(sys.argv[1]))
assert d["files"] == 10 and len(d["groups"]) >= 1, d
names = [sorted(f["path"].rsplit("/", 1)[1] for f in g) for g in d["groups"]]
assert ["copy.wav", "kick.wav"] in names, names
assert all(sum(f["keep"] for f in g) == 1 for g in d["groups"])
P
code 0 "$sm" dupes --where "name:kick | name:copy" --level bytes --csv
[ "$(wc -l <out)" = 3 ] || wrong "doubles of what a query finds: $(cat out)"
code 0 "$sm" dupes in --level bytes --move-to away --plan
sums in | cmp -s - before || wrong "--plan moved something"
code 0 "$sm" dupes in --level bytes --move-to away
[ "$(find away -type f | wc -l)" = 1 ] || wrong "moved away: $(find away -type f)"
code 0 "$sm" dupes --undo
sums in | cmp -s - before || wrong "dupes --undo: $(sums in | diff - before)"
code 2 "$sm" dupes in --plan
code 0 "$sm" stats --check
[ "$fails" -eq 0 ]
