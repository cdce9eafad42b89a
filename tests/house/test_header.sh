#!/bin/bash
# The public header compiles alone, as C11 and as C++, with every warning on, by both compilers where they are there.
set -eu
cd "$(dirname "$0")/../.."
strict="-Iinclude -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only"
for compiler in "${CC:-gcc}" clang; do
    command -v "$compiler" >/dev/null || continue
    $compiler -x c -std=c11 $strict -Wstrict-prototypes - <<<'#include <samplemind.h>
int main(void) { return sm_version()[0] == 0; }'
    $compiler -x c -std=c11 $strict include/samplemind.h 2>&1 | grep -v 'pragma once' || true
done
for compiler in "${CXX:-g++}" clang++; do
    command -v "$compiler" >/dev/null || continue
    $compiler -x c++ -std=c++11 $strict -Wold-style-cast - <<<'#include <samplemind.h>
int main() { return sm_version()[0] == 0; }'
done
