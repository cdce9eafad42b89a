#!/bin/bash
# The rooms include only what stands above them; and the check sees what breaks that.
set -eu
cd "$(dirname "$0")/../.."
scripts/check-layers
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir -p "$place/src/base" "$place/src/nn" "$place/src/cli" "$place/src/attic"
refuses() { # FILE LINE EXPECTED
    printf '%s\n' "$2" >"$place/$1"
    if (cd "$place" && "$OLDPWD/scripts/check-layers") >"$place/out"; then
        echo "$1 with $2 was accepted"
        exit 1
    fi
    grep -q "^$1:1: $3" "$place/out" || { cat "$place/out"; exit 1; }
    : >"$place/$1"
}
refuses src/base/a.c '#include "nn/nn.h"' 'base includes'
refuses src/nn/a.c '  #  include "dsp/dsp.h"' 'nn includes.*nn does not know spectra'
refuses src/nn/a.c '#include "base/secret.h"' 'nn includes "base/secret.h", which is private to base'
refuses src/nn/a.h '#include "other.h"' 'include "other.h" by its room'
refuses src/cli/a.c '#include "garage/a.h"' '"garage/a.h": no such room'
refuses src/attic/a.c 'int a;' 'src/attic is not in the table'
