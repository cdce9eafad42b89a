#!/bin/bash
# The completion scripts are accepted by their shells (where they are installed), and bash's completes.
set -eu
"$SM_PROGRAM" completion bash >"${TMPDIR:-/tmp}/samplemind-completion.$$"
trap 'rm -f "${TMPDIR:-/tmp}/samplemind-completion.$$"' EXIT
# shellcheck disable=SC1090
source "${TMPDIR:-/tmp}/samplemind-completion.$$"

complete_words() { # WORD...: what is offered for the last one
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    _samplemind
    echo "${COMPREPLY[*]-}"
}
expect() { # OFFERED WORD...
    local want=$1
    shift
    local got
    got=$(complete_words "$@")
    [ "$got" = "$want" ] || { echo "$*: offered \"$got\", expected \"$want\""; exit 1; }
}
expect version samplemind vers
expect --man samplemind help --m
expect "" samplemind version x
case " $(complete_words samplemind '') " in *" completion"*" help"*" version "*) ;; *) echo "commands are not offered"; exit 1 ;; esac
for shell in zsh fish; do
    if command -v $shell >/dev/null; then
        "$SM_PROGRAM" completion $shell >"${TMPDIR:-/tmp}/samplemind-completion.$$"
        $shell -n "${TMPDIR:-/tmp}/samplemind-completion.$$"
    fi
done
