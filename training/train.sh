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
training/synths.sh "$work" || echo "going on without the presets that could not be played" >&2
[ ! -f "$work/synths.csv" ] || ./samplemind dataset import "$work/synths.csv" -D "$set" || [ $? -eq 3 ]
./samplemind dataset debian training/debian.csv -D "$set" || [ $? -eq 3 ]
# of near twins one is kept, on one side of the split
./samplemind dataset dupes -D "$set" -q
# our own synthesis, of the classes that have the fewest sources
./samplemind dataset synth -D "$set" -n 80 -l synth-lead,pad,fx,bass,pluck,mallet-bell --seed 7 -o "$work/synth"
./samplemind train --dataset "$set" --arch res-freq -e "${EPOCHS:-64}" --smoothing 0.05 --resume ${LICENCES:+--licences "$LICENCES"} \
    -o "$work/samplemind.safetensors" --note "sources: training/sources.csv, training/notes.csv, training/synths.csv, training/debian.csv"
cp "$work/samplemind.safetensors" models/samplemind.safetensors
cp "$work/samplemind.html" models/report.html 2>/dev/null || true
# EfficientAT's convolutions, where they are installed, learn on, hearing 1.3 and 1.9 s at once; and a layer on YAMNet's embedding,
# the second opinion
note="sources: training/sources.csv, training/notes.csv, training/synths.csv, training/debian.csv, samplemind dataset synth"
# fewer changes to the sounds than the table's: what has heard two million clips needs less of them
light=start=0.1,pitch=0.6,stretch=0.05,crop=0.3,fade=0.15,saturate=0.2,reverb=0.25,shelf=0.2,eq=0.4,lowpass=0.2,highpass=0.1
light=$light,bandwidth=0.1,codec=0.1,crush=0.04,noise=0.3,other=0.05,mask_time=0.05,mask_mel=0.05
# The mean of three runs. One holds out three tenths of the families: with fewer, most have relatives among those that are learned, and a
# network would be surer of itself than it may be; so its temperature counts most. The others learn from nearly all.
mean_on_efficientat() { # name, architecture
    local name=$1 arch=$2 runs='' seed held epochs out
    while read -r seed held epochs; do
        out=$work/$name-$seed-$held.safetensors
        [ -f "$out" ] || ./samplemind train --dataset "$set" --on efficientat --tune --arch "$arch" -e "$epochs" -b 32 --base-lr 0.0003 \
            --held-out "$held" --seed "$seed" --augment "$light" --resume ${LICENCES:+--licences "$LICENCES"} -o "$out" --note "$note"
        runs+=,$out
    done <<<"1 0.3 13
1 0.05 14
6 0.05 14"
    ./samplemind train --average "${runs#,}" -o "models/$name.safetensors" --note "$note"
}
if ./samplemind models verify efficientat -q 2>/dev/null; then
    mean_on_efficientat samplemind-mobile mobile-tuned
    mean_on_efficientat samplemind-mobile-long mobile-long
else
    echo "models/samplemind-mobile*.safetensors stay as they are: they need samplemind models pull efficientat" >&2
fi
if ./samplemind models verify yamnet -q 2>/dev/null; then
    ./samplemind train --dataset "$set" --on yamnet --held-out 0.3 ${LICENCES:+--licences "$LICENCES"} -o models/samplemind-yamnet.safetensors --note "$note"
else
    echo "models/samplemind-yamnet.safetensors stays as it is: it needs samplemind models pull yamnet" >&2
fi
make
./samplemind eval analyze "$set" --table
