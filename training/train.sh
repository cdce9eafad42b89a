#!/bin/bash
# Trains the classifier that ships, from named, free data only (models/README.md), and puts it to models/samplemind.safetensors.
#   TRAIN_DATA   a labels.csv (path,class,split,family,source,licence) to learn from; without it training/fetch.sh gets the recordings
#   WORK         where everything is kept (default: build/train); a run that was stopped goes on
#   EPOCHS       default 64;  LICENCES: only sounds under these, as dataset and train take them
set -eu -o pipefail
cd "$(dirname "$0")/.."
work=${WORK:-build/train}
mkdir -p "$work"
set=$work/samplemind.dataset
make
if [ -n "${TRAIN_DATA:-}" ]; then
    ./samplemind dataset import "$TRAIN_DATA" -D "$set"
else
    training/fetch.sh "$work/corpus" || echo "going on without what could not be fetched" >&2
    ./samplemind dataset import "$work/corpus/corpus.csv" -D "$set" || [ $? -eq 3 ]
    [ ! -f "$work/corpus/speech.csv" ] || ./samplemind dataset import "$work/corpus/speech.csv" -D "$set"
    # notes of the fonts, in place of the stored renderings of the same fonts
    ./samplemind dataset soundfont training/debian.csv -D "$set" -o "$work/notes" || [ $? -eq 3 ]
fi
if training/patches.sh "$work"; then ./samplemind dataset import "$work/patches.csv" -D "$set"; fi
training/fonts.sh "$work" || echo "going on without the notes that could not be played" >&2
[ ! -f "$work/notes2.csv" ] || ./samplemind dataset import "$work/notes2.csv" -D "$set" || [ $? -eq 3 ]
./samplemind dataset debian training/debian.csv -D "$set" || [ $? -eq 3 ]
# of near twins one is kept, on one side of the split
./samplemind dataset dupes -D "$set" -q
./samplemind train --dataset "$set" --arch res-freq -e "${EPOCHS:-64}" --smoothing 0.05 --resume ${LICENCES:+--licences "$LICENCES"} \
    -o "$work/samplemind.safetensors" --note "sources: training/sources.csv, training/notes.csv, training/debian.csv"
cp "$work/samplemind.safetensors" models/samplemind.safetensors
cp "$work/samplemind.html" models/report.html 2>/dev/null || true
# what stands on YAMNet, where that is installed: its convolutions as they are under a layer of ours; learned on, with more bands above
# its own, and a fifth of the way back; and a layer on its embedding, the second opinion
on_yamnet() { # name, and options
    local name=$1
    shift
    ./samplemind train --dataset "$set" --on yamnet --tune -b 32 --resume ${LICENCES:+--licences "$LICENCES"} "$@" \
        -o "$work/$name.safetensors" --note "sources: training/sources.csv, training/notes.csv, training/debian.csv"
    cp "$work/$name.safetensors" "models/$name.safetensors"
}
if ./samplemind models verify yamnet -q 2>/dev/null; then
    on_yamnet samplemind-tuned --arch yamnet-tuned --freeze 14 --lr 0.002 -e 8 --seed 5
    on_yamnet samplemind-tuned-wide --arch yamnet-wide --base-lr 0.00025 --keep 0.2 -e 14 --seed 2
    ./samplemind train --dataset "$set" --on yamnet ${LICENCES:+--licences "$LICENCES"} -o models/samplemind-yamnet.safetensors \
        --note "sources: training/sources.csv, training/notes.csv, training/debian.csv"
else
    echo "models/samplemind-{tuned,yamnet}.safetensors stay as they are: they need samplemind models pull yamnet" >&2
fi
make
./samplemind eval analyze "$set" --table
