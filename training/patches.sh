#!/bin/bash
# Plays notes of the old FreePats sound set (Debian's package freepats, GPL-2+ with an exception for music made with it) by timidity and
# labels them by what General MIDI calls their program: DIR/patches.csv. Six notes a program; programs that FreePats lacks are left out.
# Usage: training/patches.sh DIR
set -eu -o pipefail
folder=$1
patches=/usr/share/midi/freepats
config=/etc/timidity/freepats.cfg
if ! command -v timidity >/dev/null || [ ! -d $patches ]; then
    echo "without the notes of FreePats: sudo apt-get install timidity freepats" >&2
    exit 3
fi
mkdir -p "$folder/patches"
table=$folder/patches.csv
echo "path,class,split,family,source,licence" >"$table"

# A MIDI file of one note: status byte and program of its channel, key, velocity. It sounds for 1.3 s.
note() {
    local channel=$1 program=$2 key=$3 velocity=$4 track
    track=$(printf '00%02x%02x00%02x%02x%02x8960%02x%02x008440ff2f00' $((0xc0 + channel)) "$program" $((0x90 + channel)) "$key" "$velocity" \
        $((0x80 + channel)) "$key")
    printf '4d546864000000060000000101e04d54726b%08x%s' $((${#track} / 2)) "$track" | sed 's/../\\x&/g' | xargs -0 printf '%b'
}

render() { # channel program key velocity class
    local file
    file=patches/$(printf '%d-%03d-%03d-%03d.wav' "$1" "$2" "$3" "$4")
    if [ ! -s "$folder/$file" ]; then
        note "$1" "$2" "$3" "$4" >"$folder/note.mid"
        timidity -x "source $config" --quiet=2 --reverb=0 -A100a -OwM -s 44100 -o "$folder/$file" "$folder/note.mid" >/dev/null 2>&1
    fi
    echo "$file,$5,train,FreePats legacy/$5,freepats,GPL-2.0+ with exception" >>"$table"
}

class_of_program() {
    case $1 in
    [0-7]) echo keys ;; 8 | 9 | 1[0-4]) echo mallet-bell ;; 15) echo pluck ;; 1[6-9] | 2[0-3]) echo organ ;; 2[4-9] | 3[01]) echo guitar ;;
    3[2-9]) echo bass ;; 4[0-4] | 48 | 49) echo strings ;; 45 | 46) echo pluck ;; 5[0-1]) echo pad ;; 5[2-4]) echo vocal ;;
    5[6-9] | 6[0-3]) echo brass ;; 6[4-9] | 7[0-9]) echo woodwind ;; 8[0-7]) echo synth-lead ;; 8[89] | 9[0-5]) echo pad ;;
    10[4-7]) echo pluck ;; 108 | 112) echo mallet-bell ;; *) echo - ;;
    esac
}

class_of_key() {
    case $1 in
    35 | 36) echo kick ;; 37) echo rim ;; 38 | 40) echo snare ;; 39 | 26) echo clap ;; 41 | 43 | 45 | 47 | 48 | 50) echo tom ;; 42 | 44) echo hihat-closed ;;
    46) echo hihat-open ;; 49 | 51 | 52 | 53 | 55 | 57 | 59) echo cymbal ;; 54 | 69 | 70 | 82) echo shaker ;; 6[0-6] | 78 | 79) echo hand-drum ;;
    56 | 67 | 68 | 73 | 74 | 75 | 76 | 77 | 80 | 81) echo perc ;; *) echo - ;;
    esac
}

# The first column is the number, the second the file; drums stand before "bank 0".
while read -r section number file _; do
    [ -s "$patches/$file" ] || continue
    if [ "$section" = drums ]; then
        class=$(class_of_key "$number")
        [ "$class" = - ] || for velocity in 70 115; do render 9 0 "$number" $velocity "$class"; done
    else
        class=$(class_of_program "$number")
        case $class in -) continue ;; bass) keys="28 33 38 43 48 55" ;; *) keys="43 50 57 62 69 76" ;; esac
        for key in $keys; do render 0 "$number" "$key" 100 "$class"; done
    fi
done < <(awk '/^drumset/ { s = "drums" } /^bank/ { s = "bank" } $2 ~ /\.pat/ { print s, $1, $2 }' $config)
rm -f "$folder/note.mid"
