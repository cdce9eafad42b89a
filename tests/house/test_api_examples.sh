#!/bin/bash
# Every block of C in docs/api.md compiles without a warning; those about a library run, one after the other, on a few sounds.
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
# N.c for each block: functions as they are, the rest within main; N.title: the heading above it
awk '
    /^## / { title = substr($0, 4) }
    /^```c$/ { n++; inside = 1; body = functions = ""; print title > (n ".title"); next }
    /^```$/ && inside {
        inside = 0
        printf "#include <samplemind.h>\n#include <stdio.h>\n#include <stdlib.h>\n\n" \
               "static inline void fail(const char *why)\n{\n    fprintf(stderr, \"%%s\\n\", why);\n    exit(1);\n}\n\n" \
               "%s\nint main(void)\n{\n    FILE *file = stdout;\n    (void)file;\n%s    return 0;\n}\n", functions, body > (n ".c")
        next
    }
    inside && /^static / { defines = 1 }
    inside && defines { functions = functions $0 "\n"; if (/^}/) defines = 0; next }
    inside { body = body "    " $0 "\n" }' "$here/docs/api.md"
blocks=$(ls -- *.c | wc -l)
[ "$blocks" -ge 9 ] || { echo "docs/api.md has $blocks blocks of C only"; exit 1; }
for ((n = 1; n <= blocks; n++)); do
    "${CC:-gcc}" -std=c11 -I"$here/include" -Wall -Wextra -Wshadow -Werror -Wno-unused-variable -fsyntax-only "$n.c" ||
        { echo "the block below \"$(cat $n.title)\" does not compile"; exit 1; }
done
library=${SM_BUILD:-}/libsamplemind.so
[ -f "$library" ] || { echo "compiled; there is no shared library in this build to run them with"; exit 0; }
export SAMPLEMIND_HOME=$place/home LD_LIBRARY_PATH=$place
mkdir home Samples
ln -s "$library" "$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')"
cp "$here"/examples/{kick,hihat,pluck_c4,bass_e1,noise}.* Samples/
cp Samples/kick.wav "Samples/kick again.wav"
ran=0
for ((n = 1; n <= blocks; n++)); do
    case $(cat $n.title) in
    "A library: scan" | Search | "Sounds like a sound" | "The map" | Duplicates | Tags | "Export and names") ;;
    *) continue ;;
    esac
    "${CC:-gcc}" -std=c11 -I"$here/include" "$n.c" "$library" -o "$n.program"
    "./$n.program" >"$n.out" 2>&1 || { echo "the block below \"$(cat $n.title)\" failed"; cat "$n.out"; exit 1; }
    [ -s "$n.out" ] || { echo "the block below \"$(cat $n.title)\" printed nothing"; exit 1; }
    ran=$((ran + 1))
done
[ $ran -eq 7 ] || { echo "$ran blocks about a library, not 7"; exit 1; }
