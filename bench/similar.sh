#!/bin/sh
# precision@10 of `similar` by class, over the labelled sounds of a table as the training data has it.
#
#   bench/similar.sh LABELS.csv [SPLIT] ["OPTIONS OF similar"]...      e.g. labels.csv val "" "--by timbre=1"
#
# Needs the columns path, class, split. Scans the folders in which they lie into a library of its own (in $TMPDIR, kept as LIBRARY if that
# is set), so with the sounds of other splits, then asks for the ten nearest of each sound of the split. Prints for each set of options the mean over sounds and over classes, and each class.
set -eu
table=$1 split=${2:-val}
[ $# -lt 2 ] && shift 1 || shift 2
[ $# -eq 0 ] && set -- ""
program=${SM_PROGRAM:-./samplemind}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
library=${LIBRARY:-$work/library}
root=$(cd "$(dirname "$table")" && pwd)

awk -F, -v root="$root" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    { print root "/" $at["path"] "\t" $at["class"] }' "$table" > "$work/classes"
awk -F, -v split_="$split" -v root="$root" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    $at["split"] == split_ { print root "/" $at["path"] "\t" $at["class"] }' "$table" > "$work/sounds"
cut -f1 "$work/sounds" | tr "\n" "\0" | xargs -0 -n 500 "$program" scan --models "${MODELS:-samplemind}" -q --library "$library" > /dev/null
for options; do
    # shellcheck disable=SC2086  # options are words
    while IFS="$(printf '\t')" read -r path class; do
        "$program" similar "$path" --library "$library" -n 10 -j 1 --csv $options |
            awk -v class="$class" 'NR > 1 { if (sub(/^"/, "")) sub(/",.*/, ""); else sub(/,.*/, ""); print class "\t" $0 }'
    done < "$work/sounds" > "$work/answers"
    awk -F'\t' -v options="${options:-overall}" 'FNR == NR { class[$1] = $2; next }
        { asked[$1]++; right[$1] += class[$2] == $1 }
        END {
            for (c in asked) { all += asked[c]; good += right[c]; mean += right[c] / asked[c]; n++ }
            printf "%s: precision@10 %.4f (mean over %d classes %.4f), %d sounds\n", options, good / all, n, mean / n, all / 10
            for (c in asked) printf "    %-14s %4d sounds  %.3f\n", c, asked[c] / 10, right[c] / asked[c] | "sort"
        }' "$work/classes" "$work/answers"
done
