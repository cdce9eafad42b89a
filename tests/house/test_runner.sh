#!/bin/bash
# scripts/run-tests counts what cmocka prints, notices what dies or hangs, and says why something was skipped.
set -eu
cd "$(dirname "$0")/../.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/tests"

program() { # NAME: its text comes on standard input
    { echo '#!/bin/bash'; cat; } >"$place/tests/test_$1"
    chmod +x "$place/tests/test_$1"
}
program good <<'END'
printf '%s\n' '[==========] Running 2 test(s).' '[ RUN      ] one_is_one' '[       OK ] one_is_one' \
    '[ RUN      ] two_is_two' 'no such device' '[  SKIPPED ] two_is_two' '[==========] 2 test(s) run.' \
    '[  PASSED  ] 1 test(s).' '[  SKIPPED ] 1 test(s), listed below:' '[  SKIPPED ] two_is_two'
END
program bad <<'END'
printf '%s\n' '[==========] Running 2 test(s).' '[ RUN      ] three_is_four' 'row 7: 3 != 4' '[  FAILED  ] three_is_four' \
    '[ RUN      ] five_is_five' '[       OK ] five_is_five' '[==========] 2 test(s) run.' '[  FAILED  ] three_is_four'
exit 1
END
program crash <<'END'
printf '%s\n' '[==========] Running 2 test(s).' '[ RUN      ] six_is_six' '[       OK ] six_is_six' '[ RUN      ] seven_is_null'
kill -SEGV $$
END
program leak <<'END'
printf '%s\n' '[==========] Running 1 test(s).' '[ RUN      ] eight_is_eight' '[       OK ] eight_is_eight' '[==========] 1 test(s) run.'
exit 23
END
program hang <<'END'
printf '%s\n' '[==========] Running 1 test(s).' '[ RUN      ] nine_ends'
exec sleep 100
END
program empty <<'END'
exit 0
END
program script.sh <<'END'
echo "no zsh here"
exit 77
END

expect() { # LAST_LINE EXIT_STATUS PART_OF_OUTPUT NAME...
    local last=$1 status=$2 part=$3 rc=0
    shift 3
    SM_TEST_LIMIT=2 SM_SAN='' SM_UNDER='' scripts/run-tests "${@/#/$place/tests/test_}" >"$place/out" 2>&1 || rc=$?
    [ "$(tail -n 1 "$place/out")" = "$last" ] && [ $rc -eq "$status" ] && grep -q -- "$part" "$place/out" ||
        { echo "$*: expected $last, exit status $status and \"$part\"; got $rc and"; cat "$place/out"; exit 1; }
}
expect '1 passed, 0 failed, 1 skipped' 0 'skipped  good: two_is_two: no such device' good
expect '1 passed, 1 failed, 0 skipped' 1 'row 7: 3 != 4' bad
expect '1 passed, 1 failed, 0 skipped' 1 'FAILED  crash: seven_is_null (did not end)' crash
expect '1 passed, 1 failed, 0 skipped' 1 'FAILED  leak: as a whole' leak
expect '0 passed, 1 failed, 0 skipped' 1 'ran longer than 2 s' hang
expect '0 passed, 1 failed, 0 skipped' 1 'FAILED  empty: ran no test' empty
expect '0 passed, 0 failed, 1 skipped' 0 'skipped  script.sh: no zsh here' script.sh
expect '3 passed, 2 failed, 2 skipped' 1 'three_is_four' good bad crash script.sh
expect '0 passed, 1 failed, 0 skipped' 1 'not-there' not-there
