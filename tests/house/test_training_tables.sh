#!/bin/bash
# The tables the shipped classifier is made again from hold together: every file and note has a class, a side and a source whose commit
# and licence are written down, no family is on both sides; and a machine without the players is told so.
set -eu
cd "$(dirname "$0")/../.."
classes="bass brass clap cymbal foley fx guitar hand-drum hihat-closed hihat-open keys kick mallet-bell organ pad perc pluck rim shaker
    snare strings synth-lead tom vocal woodwind"

awk -v classes="$classes" '
    # fields of a line of CSV; a quoted one may hold commas and doubled quotes
    function fields(line, f,    n, part) {
        for (n = 0; ; ) {
            match(line, /^("([^"]|"")*"|[^,"]*)/)
            part = substr(line, 1, RLENGTH)
            line = substr(line, RLENGTH + 1)
            if (part ~ /^"/) { part = substr(part, 2, length(part) - 2); gsub(/""/, "\"", part) }
            f[++n] = part
            if (substr(line, 1, 1) != ",") return line == "" ? n : -1
            line = substr(line, 2)
        }
    }
    function wrong(what) { print FILENAME ":" FNR ": " what; bad = 1 }
    function between(x, low, high) { return x ~ /^[0-9]+$/ && x + 0 >= low && x + 0 <= high }
    function marks(class, side, family, licence) {
        if (!(class in is_class)) wrong("no such class: " class)
        if (side != "train" && side != "val") wrong("no such side: " side)
        if (family in side_of && side_of[family] != side) wrong("family on both sides: " family)
        side_of[family] = side
        if (licence == "") wrong("no licence")
    }
    function packaged(class, side, family, source, licence) {
        marks(class, side, family, licence)
        if (!(source in is_package)) wrong("no such package: " source)
    }
    function labels(class, side, family, source, licence) {
        marks(class, side, family, licence)
        if (!match(source, /^[^\/ ]+\/[^\/ ]+/) || !(substr(source, 1, RLENGTH) in sources)) { wrong("not in sources.csv: " source); return "" }
        used[substr(source, 1, RLENGTH)]
        return substr(source, 1, RLENGTH)
    }
    BEGIN {
        n = split(classes, list, /[ \n]+/)
        for (i = 1; i <= n; i++) is_class[list[i]]
        if (n != 25) { print n " classes"; bad = 1 }
        columns["sources"] = 4; columns["corpus"] = 6; columns["notes"] = 11; columns["synths"] = 12
        n = split("amsynth zynaddsubfx-data hexter whysynth xsynth-dssi wsynth-dssi mda-lv2 calf-plugins", list, " ")
        for (i = 1; i <= n; i++) is_package[list[i]]
    }
    FNR == 1 { table = FILENAME; gsub(/.*\/|\.csv$/, "", table); next }
    { rows[table]++ }
    fields($0, f) != columns[table] { wrong("not " columns[table] " fields"); next }
    table == "sources" {
        if (f[1] !~ /^https:\/\/github\.com\/[^\/]+\/[^\/]+$/) wrong("address: " f[1])
        if (f[2] !~ /^[0-9a-f]+$/ || length(f[2]) < 12) wrong("commit: " f[2])
        if (f[3] == "" || f[4] == "") wrong("licence, and where it is stated")
        sub(/^https:\/\/github\.com\//, "", f[1])
        if (f[1] in sources) wrong("twice: " f[1])
        sources[f[1]]
    }
    table == "corpus" {
        name = labels(f[2], f[3], f[4], f[5], f[6])
        sub(/\//, "+", name)
        if (index(f[1], name "/") != 1) wrong("path not below " name ": " f[1])
        if (f[1] in seen) wrong("twice: " f[1])
        seen[f[1]]
    }
    table == "notes" {
        labels(f[7], f[8], f[9], f[10], f[11])
        if (f[8] != "train") wrong("notes are there to learn from")
        if (f[1] !~ /^(GeneralUser GS|Sonivox EAS|Sonivox FM)$/) wrong("no such font: " f[1])
        if (f[2] != 0 && f[2] != 128 || !between(f[3], 0, 127) || !between(f[4], 0, 127) || !between(f[5], 1, 127)) wrong("no such note")
        if (f[6] !~ /^[0-9]\.[0-9]$/) wrong("held for " f[6])
        if ($0 ~ /"/) wrong("fonts.sh reads no quotes")
        note = f[1] "," f[2] "," f[3] "," f[4] "," f[5]
        if (note in seen) wrong("twice: " note)
        seen[note]
    }
    table == "synths" {
        packaged(f[8], f[9], f[10], f[11], f[12])
        if (f[9] != "train") wrong("notes are there to learn from")
        if (f[1] !~ /^(amsynth|zynaddsubfx|hexter|whysynth|xsynth-dssi|wsynth-dssi|mda (JX10|DX10|EPiano|Piano)|calf (monosynth|organ|wavetable))$/)
            wrong("no such synthesizer: " f[1])
        if (f[2] == "" || f[3] !~ /^([0-9]+|-)$/ || f[4] == "") wrong("no such preset")
        if (f[5] !~ /^[0-9]+(\+[0-9]+)*$/ || !between(f[6], 1, 127)) wrong("no such note")
        if (f[7] !~ /^[0-9]\.[0-9]$/) wrong("held for " f[7])
        if ($0 ~ /"/) wrong("synths.sh reads no quotes")
        note = f[1] "," f[2] "," f[3] "," f[4] "," f[5] "," f[6]
        if (note in seen) wrong("twice: " note)
        seen[note]
    }
    END {
        for (s in sources) if (!(s in used)) { print "in sources.csv, but used nowhere: " s; bad = 1 }
        if (rows["corpus"] < 5000 || rows["notes"] < 1000 || rows["synths"] < 1000) { print "tables are cut short"; bad = 1 }
        exit bad
    }' training/sources.csv training/corpus.csv training/notes.csv training/synths.csv

# nothing but what every system has: fonts.sh and synths.sh say what is missing, and leave a table without rows
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/bin"
for tool in bash awk dirname mkdir; do ln -s "$(command -v $tool)" "$place/bin/$tool"; done
for player in fonts:notes2 synths:synths; do
    script=training/${player%:*}.sh
    rc=0
    PATH=$place/bin "$script" "$place/made" 2>"$place/said" || rc=$?
    [ $rc -eq 3 ] || { echo "$script without players ends with $rc"; cat "$place/said"; exit 1; }
    grep -q '^without .*: sudo apt-get install' "$place/said" || { cat "$place/said"; exit 1; }
    [ "$(wc -l <"$place/said")" -eq 1 ] || { cat "$place/said"; exit 1; }
    [ "$(cat "$place/made/${player#*:}.csv")" = "path,class,split,family,source,licence" ]
done
