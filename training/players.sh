# For fonts.sh and synths.sh, which read it: how they tell what is missing. Sets failed, 1 once something is left out.
# shellcheck shell=bash disable=SC2034
failed=0

without() { # what is left out, and why
    echo "without the notes of $1: $2" >&2
    failed=1
}

have() { # tools
    local tool
    for tool; do command -v "$tool" >/dev/null || return 1; done
}
