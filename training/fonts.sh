#!/bin/bash
# Plays the notes that notes.csv names, each alone and dry, and labels them: DIR/notes2.csv, sounds in DIR/notes2. GeneralUser GS is
# played by FluidSynth (Debian's package), from marmooo/free-soundfonts; Sonivox's wavetable and its FM sounds by the renderer of
# EmbeddedSynth/sonivox, which is built here. Both come from the commits that sources.csv names, into DIR/fonts. What is there is not
# played again; what a font's tools or sources are missing for is left out.
# Usage: training/fonts.sh DIR
# Exit status: 0 all notes are there, 3 some or all are missing.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
table=$folder/notes2.csv
# shellcheck source=training/players.sh
. "$here/players.sh"

# OWNER/NAME and folders of it, to DIR/fonts/OWNER+NAME
get() {
    local url=https://github.com/$1 target=$folder/fonts/${1/\//+} commit
    commit=$(awk -F, -v url="$url" '$1 == url { print $2 }' "$here/sources.csv")
    if [ -f "$target/.whole" ]; then return; fi
    [ -d "$target/.git" ] || git clone --quiet --filter=blob:none --no-checkout "$url" "$target" || return
    git -C "$target" sparse-checkout set "${@:2}" || return
    git -C "$target" checkout --quiet "$commit" && touch "$target/.whole"
}

build_sonivox() {
    local source=$folder/fonts/EmbeddedSynth+sonivox
    renderer=$source/build/example/sonivoxrender
    [ ! -x "$renderer" ] || return 0
    cmake -S "$source" -B "$source/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF >/dev/null &&
        cmake --build "$source/build" --target sonivoxrender >/dev/null
}

# A delta time in ticks, 960 a second, always as two bytes.
delta() { printf '%02x%02x' $((0x80 | $1 >> 7)) $(($1 & 127)); }

# A MIDI file of one note: bank 128 is the drums' channel; no reverb (91), no chorus (93); held and tail in tenths of a second.
note() { # bank program key velocity held tail
    local channel=$(($1 == 128 ? 9 : 0)) track
    track=$(printf '00%02x%02x00%02x5b0000%02x5d00' $((0xc0 + channel)) "$2" $((0xb0 + channel)) $((0xb0 + channel)))
    track+=$(delta 19)$(printf '%02x%02x%02x' $((0x90 + channel)) "$3" "$4")
    track+=$(delta $(($5 * 96)))$(printf '%02x%02x00' $((0x80 + channel)) "$3")$(delta $(($6 * 96)))ff2f00
    printf '4d546864000000060000000101e04d54726b%08x%s' $((${#track} / 2)) "$track" | sed 's/../\\x&/g' | xargs -0 printf '%b'
}

# Both sides together, the loudest value .9, from the first to the last value of a thousandth of that, with 64 values before and behind.
cut_out() { # raw sound, file to write
    local mono="aformat=flt,pan=mono|c0=.5*c0+.5*c1" trim peak
    trim="silenceremove=start_periods=1:start_threshold=0.0009:start_silence=0.00145:detection=peak:window=0,areverse"
    peak=$(ffmpeg -nostdin -hide_banner "${raw[@]}" -i "$1" -af "$mono,astats=measure_perchannel=none:measure_overall=Peak_level" \
        -f null - 2>&1 | awk '/Peak level dB/ { print $NF }')
    case $peak in -[0-9]*) ;; *) return 1 ;; esac
    ffmpeg -nostdin -v error -y "${raw[@]}" -i "$1" -af "$mono,volume=$(awk "BEGIN { print -0.91515 - $peak }")dB,$trim,$trim" \
        -ar 44100 -c:a pcm_s16le "$2"
}

play() { # font bank program key velocity held file
    local midi=$folder/note.mid
    rm -f "$folder/note.raw"
    note "$2" "$3" "$4" "$5" "$6" "$([ "$1" = "GeneralUser GS" ] && echo $((22 - $6)) || echo 9)" >"$midi"
    case $1 in
    "GeneralUser GS")
        raw=(-t 2.22)
        fluidsynth -n -i -q -R 0 -C 0 -r 44100 -T wav -O float -F "$folder/note.raw" \
            "$folder/fonts/marmooo+free-soundfonts/docs/GeneralUser_GS_v1.471/$(printf %03d $(($2 == 128 ? 128 : $3))).sf3" "$midi" \
            >/dev/null 2>&1
        ;;
    *)
        raw=(-f s16le -ar 44100 -ac 2)
        "$renderer" -s "$([ "$1" = "Sonivox FM" ] && echo 2 || echo 1)" -r 0 -c 0 "$midi" >"$folder/note.raw" 2>/dev/null
        ;;
    esac
    cut_out "$folder/note.raw" "$folder/note.wav" && mv "$folder/note.wav" "$7"
}

mkdir -p "$folder/notes2" "$folder/fonts"
echo "path,class,split,family,source,licence" >"$table"
if ! have git ffmpeg; then
    without "GeneralUser GS and Sonivox" "sudo apt-get install git ffmpeg"
    exit 3
fi
fonts=()
if ! have fluidsynth; then
    without "GeneralUser GS" "sudo apt-get install fluidsynth"
elif get marmooo/free-soundfonts docs/GeneralUser_GS_v1.471; then
    fonts+=("GeneralUser GS")
else
    without "GeneralUser GS" "marmooo/free-soundfonts could not be fetched"
fi
if ! have cmake cc c++; then
    without Sonivox "sudo apt-get install cmake gcc g++ zlib1g-dev"
elif ! get EmbeddedSynth/sonivox arm-wt-22k example fakes getopt_port; then
    without Sonivox "EmbeddedSynth/sonivox could not be fetched"
elif build_sonivox; then
    fonts+=("Sonivox EAS" "Sonivox FM")
else
    without Sonivox "EmbeddedSynth/sonivox could not be built"
fi

for font in "${fonts[@]}"; do
    mkdir -p "$folder/notes2/${font/ /_}"
    while IFS=, read -r name bank program key velocity hold labels; do
        [ "$name" = "$font" ] || continue
        file=notes2/${font/ /_}/$(printf '%d-%03d-%03d-%03d.wav' "$bank" "$program" "$key" "$velocity")
        [ -s "$folder/$file" ] || play "$font" "$bank" "$program" "$key" "$velocity" "$((10#${hold/./}))" "$folder/$file" </dev/null || {
            without "one note" "$file could not be played"
            continue
        }
        echo "$file,$labels" >>"$table"
    done <"${NOTES:-$here/notes.csv}"
done
rm -f "$folder"/note.{mid,raw,wav}
[ $failed -eq 0 ] || exit 3
