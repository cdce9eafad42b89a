#!/bin/bash
# Every file is as clang-format leaves it, and short enough.
cd "$(dirname "$0")/../.." && scripts/check-format
