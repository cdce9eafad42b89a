#!/bin/bash
# make install puts everything where others look for it; a program outside finds and links both libraries; only our names
# are exported; uninstall leaves nothing.
set -eu
cd "$(dirname "$0")/../.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
make -s --no-print-directory CC="${CC:-gcc}" install DESTDIR="$place" PREFIX=/usr >/dev/null
for file in bin/samplemind lib/libsamplemind.a lib/libsamplemind.so include/samplemind.h lib/pkgconfig/samplemind.pc \
    share/man/man1/samplemind.1 share/bash-completion/completions/samplemind share/zsh/site-functions/_samplemind \
    share/fish/vendor_completions.d/samplemind.fish; do
    [ -s "$place/usr/$file" ] || { echo "$file is missing"; exit 1; }
done
cat >"$place/user.c" <<'END'
#include <samplemind.h>
#include <stdio.h>
int main(void) { return puts(sm_version()) < 0 || sm_last_error()[0] != 0; }
END
export PKG_CONFIG_PATH=$place/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=
flags=$(pkg-config --define-variable=prefix="$place/usr" --cflags --libs samplemind)
"${CC:-gcc}" "$place/user.c" $flags -o "$place/shared"
[ "$(LD_LIBRARY_PATH=$place/usr/lib "$place/shared")" = "$(pkg-config --modversion samplemind)" ]
LD_LIBRARY_PATH=$place/usr/lib ldd "$place/shared" | grep -q "$place/usr/lib/libsamplemind.so\.[0-9]* " || ldd "$place/shared" | grep -q samplemind
"${CC:-gcc}" "$place/user.c" -I"$place/usr/include" "$place/usr/lib/libsamplemind.a" \
    $(sed -n 's/^Libs.private: //p' "$place/usr/lib/pkgconfig/samplemind.pc") -o "$place/static"
[ "$("$place/static")" = "$("$place/shared" 2>/dev/null || LD_LIBRARY_PATH=$place/usr/lib "$place/shared")" ]
foreign=$(nm -D --defined-only "$place/usr/lib/libsamplemind.so" | awk '$3 !~ /^sm_/ && $2 ~ /[TDBR]/ { print $3 }')
[ -z "$foreign" ] || { echo "exported, but not ours: $foreign"; exit 1; }
if command -v man >/dev/null; then man --warnings -l "$place/usr/share/man/man1/samplemind.1" >/dev/null; fi
make -s --no-print-directory CC="${CC:-gcc}" uninstall DESTDIR="$place" PREFIX=/usr >/dev/null
left=$(find "$place/usr" -type f -o -type l)
[ -z "$left" ] || { echo "left behind: $left"; exit 1; }
