#!/bin/bash
# From a correction in the library to a classifier that learned it.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export SAMPLEMIND_HOME=$place/home
cd "$place" || exit 1
fail() {
    echo "WRONG: $*"
    exit 1
}
sm=$SM_PROGRAM
mkdir in
cp "$here"/examples/{kick,hihat,bass_e1,sine_440}.wav "$here/examples/noise.aiff" "$here/examples/pluck_c4.caf" in
"$sm" scan -q in >/dev/null || fail "scan"
"$sm" tag in/kick.wav in/bass_e1.wav in/sine_440.wav --set instrument=Tom --in-library >/dev/null || fail "tag"
"$sm" tag in/hihat.wav in/noise.aiff in/pluck_c4.caf --set instrument=foley --in-library >/dev/null || fail "tag"
"$sm" tag in/pluck_c4.caf --unset instrument --in-library >/dev/null || fail "tag --unset"

"$sm" train --from-corrections -a tiny -e 1 -o mine.safetensors -q --progress none >/dev/null 2>err || fail "train: $(cat err)"
[ -s mine.safetensors ] || fail "no classifier"
labels() { # of all that a person has confirmed
    "$sm" dataset export --verified -o table.csv -q >/dev/null 2>&1 || fail "dataset export"
    sed 's,^[^,]*/,,' table.csv | tail -n +2 | cut -d, -f1,2 | tr ',' ' ' | LC_ALL=C sort | tr '\n' ' '
}
want="bass_e1.wav tom hihat.wav foley kick.wav tom noise.aiff foley sine_440.wav tom "
[ "$(labels)" = "$want" ] || fail "the dataset has: $(labels)"
# another word is another label; nothing comes twice
"$sm" tag in/kick.wav --set instrument=kick --in-library >/dev/null || fail "tag"
"$sm" train --from-corrections -a tiny -e 1 -o mine.safetensors -q --progress none >/dev/null 2>err || fail "train again: $(cat err)"
[ "$(labels)" = "${want/kick.wav tom/kick.wav kick}" ] || fail "after another word the dataset has: $(labels)"
# without a library only what is in the dataset counts
rm -r home/library
"$sm" train --from-corrections -a tiny -e 1 -o mine.safetensors -q --progress none >/dev/null 2>err || fail "without a library: $(cat err)"
