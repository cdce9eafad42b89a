#!/bin/bash
# Plays the notes that synths.csv names on free synthesizers that Debian packages, dry as their presets are, and labels them:
# DIR/synths.csv, sounds in DIR/synths. The plugins are run without a sound card by hosts of ours, built here: DSSI by dssi_note.c, LV2
# by lv2_note.c. What is there is not played again; what a synthesizer or a tool is missing for is left out.
# Usage: training/synths.sh DIR
# Exit status: 0 all notes are there, 3 some or all are missing.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$1
table=$folder/synths.csv
made=$folder/synths
# shellcheck source=training/players.sh
. "$here/players.sh"

build() { # host, its pkg-config packages, further libraries
    # the flags are words
    # shellcheck disable=SC2046
    [ "$made/$1" -nt "$here/$1.c" ] || cc -std=gnu11 -O2 -o "$made/$1" "$here/$1.c" "$here/synth_note.c" $(pkg-config --cflags --libs "$2") -ldl -lm
}

# A synthesizer's host, plugin, file that is there if it is installed, and packages.
plugin_of() {
    package=$1 host=dssi_note
    case $1 in
    amsynth) plugin=/usr/lib/dssi/amsynth_dssi.so ;;
    zynaddsubfx) plugin=/usr/lib/dssi/libzynaddsubfx_dssi.so package="zynaddsubfx-dssi zynaddsubfx-data" ;;
    hexter | whysynth | xsynth-dssi | wsynth-dssi) plugin=/usr/lib/dssi/$1.so ;;
    "mda "*) plugin=http://drobilla.net/plugins/mda/${1#* } host=lv2_note package=mda-lv2 installed=/usr/lib/lv2/mda.lv2 ;;
    "calf "*)
        name=${1#* }
        plugin=http://calf.sourceforge.net/plugins/${name^} host=lv2_note package=calf-plugins installed=/usr/lib/lv2/calf.lv2
        ;;
    esac
    [ $host = lv2_note ] || installed=$plugin
}

# The values of a preset, as options, a line each. amsynth's plugin selects none of its banks' presets; Calf's presets are no LV2.
amsynth_preset() { # bank program preset
    awk -v number="$2" -v name="$3" '
        /^<preset>/ { sub(/^<preset> <name> /, ""); sub(/ +$/, ""); on = n++ == number && $0 == name }
        on && /^<parameter>/ { print "-p\n" $2 "=" $3 }' "/usr/share/amsynth/banks/$1"
}
calf_preset() { # plugin preset
    awk -v start="<preset plugin=\"$1\" name=\"$2\">" '
        index($0, start) { on = 1 }
        /<\/preset>/ { on = 0 }
        on && /<param / { split($0, part, "\""); print "-p\n" tolower(part[2]) "=" part[4] }' /usr/share/calf/presets.xml
}

play() { # synth bank program preset key velocity hold file
    local options
    case $1 in
    amsynth) mapfile -t options < <(amsynth_preset "$2" "$3" "$4") ;;
    "calf "*) mapfile -t options < <(calf_preset "${1#* }" "$4") ;;
    "mda "*) options=(-s "$4") ;;
    zynaddsubfx) options=(-s "$2" "$3" "$4" -w 2) ;;
    whysynth) options=(-s "$2" "$3" "$4" -w 1) ;;
    *) options=(-s "$2" "$3" "$4") ;;
    esac
    if [ ${#options[@]} -eq 0 ]; then
        echo "its bank has no such preset" >"$8.said"
        return 1
    fi
    # banks as the packages have them, not as somebody's settings do
    HOME=$made timeout 60 "$made/$host" "$plugin" "${options[@]}" "$5" "$6" "$7" "$8.part" </dev/null >/dev/null 2>"$8.said" || return
    mv "$8.part" "$8"
    rm -f "$8.said"
}

mkdir -p "$made"
echo "path,class,split,family,source,licence" >"$table"
if ! have cc pkg-config || ! pkg-config --exists dssi alsa lilv-0; then
    without synthesizers "sudo apt-get install gcc pkg-config dssi-dev libasound2-dev liblilv-dev"
    exit 3
fi
if ! build dssi_note "dssi alsa" || ! build lv2_note lilv-0; then
    without synthesizers "their hosts could not be built"
    exit 3
fi

rows=()
last=
while IFS=, read -r synth bank program preset key velocity hold labels; do
    if [ "$synth" != "$last" ]; then
        plugin_of "$synth"
        there=1
        [ -e "$installed" ] || {
            there=0
            without "$synth" "sudo apt-get install $package"
        }
        mkdir -p "$made/${synth// /_}"
        last=$synth
    fi
    [ "$there" = 1 ] || continue
    file=synths/${synth// /_}/$bank-$program-${preset//[^A-Za-z0-9]/_}-$key-$velocity.wav
    rows+=("$file,$labels")
    [ -s "$folder/$file" ] && continue
    # waiting is most of what a note of ZynAddSubFX takes
    while [ "$(jobs -rp | wc -l)" -ge "$(($(nproc) + 2))" ]; do wait -n || true; done
    play "$synth" "$bank" "$program" "$preset" "$key" "$velocity" "$hold" "$folder/$file" &
done < <(tail -n +2 "${SYNTHS:-$here/synths.csv}")
wait
for row in "${rows[@]}"; do
    if [ -s "$folder/${row%%,*}" ]; then
        echo "$row" >>"$table"
    else
        without "one preset" "${row%%,*} could not be played: $(tail -n 1 "$folder/${row%%,*}.said" 2>/dev/null || true)"
    fi
done
[ $failed -eq 0 ] || exit 3
