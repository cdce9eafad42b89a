#!/bin/bash
# Gets the recordings that the shipped classifier learned from: the files that corpus.csv names, from the commits that sources.csv
# names, into DIR (default: build/corpus). Some 3 GB come over the network at most, since only the named files are fetched. What is
# there is not fetched again. Prints the sources that could not be had; the others are whole. Files stay as they are, WavPack too:
# the import reads them. Sources of fonts (notes.csv) are left to fonts.sh.
# Usage: training/fetch.sh [DIR]
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-build/corpus}
mkdir -p "$folder"
cp "$here/corpus.csv" "$folder/corpus.csv"
failed=0

# The paths below one repository, one a line: first field of the table, which may be in quotes.
files_of() {
    awk -v name="$1/" 'NR > 1 {
        if (substr($0, 1, 1) == "\"") { path = substr($0, 2); sub(/".*/, "", path) } else { path = $0; sub(/,.*/, "", path) }
        if (index(path, name) == 1) print substr(path, length(name) + 1)
    }' "$here/corpus.csv"
}

# Fetches what the checkout of these files will need in one go; checkout itself would ask for one file at a time.
fetch_ahead() { # repository, commit, name
    git -C "$1" -c core.quotepath=off ls-tree -r "$2" |
        awk -F'\t' 'NR == FNR { want[$0]; next } $2 in want { split($1, field, " "); print field[3] }' <(files_of "$3") - |
        git -C "$1" -c fetch.negotiationAlgorithm=noop fetch --quiet --no-tags --no-write-fetch-head --filter=blob:none --stdin origin
}

while IFS=, read -r url commit _; do
    [ "$url" != url ] || continue
    name=$(echo "$url" | awk -F/ '{ print $(NF - 1) "+" $NF }')
    target=$folder/$name
    if [ -f "$target/.whole" ] || [ -z "$(files_of "$name")" ]; then continue; fi
    echo "$name"
    if [ ! -d "$target/.git" ]; then
        git clone --quiet --filter=blob:none --no-checkout "$url" "$target" || { failed=$((failed + 1)); continue; }
    fi
    fetch_ahead "$target" "$commit" "$name" || true
    if files_of "$name" | git -C "$target" checkout --quiet "$commit" --pathspec-from-file=- -- 2>/dev/null ||
        files_of "$name" | git -C "$target" --literal-pathspecs checkout --quiet "$commit" --pathspec-from-file=-; then
        touch "$target/.whole"
    else
        failed=$((failed + 1))
    fi
done <"$here/sources.csv"

# Spoken words by free synthesizers (family TTS ...), as in the corpus: one voice is one family.
if command -v espeak-ng >/dev/null && command -v flite >/dev/null; then
    mkdir -p "$folder/speech"
    table=$folder/speech.csv
    echo "path,class,split,family,source,licence" >"$table"
    for word in baby go hey love music no oh yeah yes; do
        for voice in en-us+f2 en+m3 de+m7 fr+f4 it+m1; do
            file=speech/espeak-$voice-$word.wav
            [ -s "$folder/$file" ] || espeak-ng -v "$voice" -w "$folder/$file" "$word"
            echo "$file,vocal,train,TTS espeak-$(echo "$voice" | tr '+' '-'),espeak-ng,speech of a free synthesizer" >>"$table"
        done
        for voice in kal16 slt awb rms; do
            file=speech/flite-$voice-$word.wav
            [ -s "$folder/$file" ] || flite -voice "$voice" -t "$word" -o "$folder/$file"
            echo "$file,vocal,train,TTS flite-$voice,flite,speech of a free synthesizer" >>"$table"
        done
    done
else
    echo "without spoken words: sudo apt-get install espeak-ng flite" >&2
fi
[ "$failed" -eq 0 ] || { echo "$failed sources could not be fetched" >&2; exit 3; }
