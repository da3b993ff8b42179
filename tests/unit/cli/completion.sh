#!/bin/bash
# The completion scripts are accepted by their shells, and bash's completes verbs, options
# and words.
set -u
serin=$1
failures=0

expect() {
    [[ $2 == "$3" ]] && return
    echo "FAILED: $1: found \"$2\", expected \"$3\""
    failures=$((failures + 1))
}

for shell in bash zsh fish; do
    script=$("$serin" completion "$shell") || failures=$((failures + 1))
    expect "$shell has every verb" \
        "$("$serin" --help | awk '/^  [a-z]/ {print $1}' | while read -r verb; do
            grep -qwe "$verb" <<<"$script" || echo "$verb"
        done)" ""
    if [[ $shell == fish ]]; then
        fish --no-execute <<<"$script"
    else
        "$shell" -n <<<"$script"
    fi
    expect "$shell accepts its script" $? 0
done

# complete WORDS...: what bash offers for the last word
complete_words() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _serin
    echo "${COMPREPLY[*]}"
}

eval "$("$serin" completion bash)"
expect "verbs" "$(complete_words serin comp)" "completion"
expect "several verbs" "$(complete_words serin hi)" "history"
expect "words" "$(complete_words serin completion '')" "bash zsh fish"
expect "words by prefix" "$(complete_words serin completion z)" "zsh"
expect "optional words" "$(complete_words serin schema '')" "plan config"
expect "options" "$(complete_words serin lint --o)" "--output"
expect "files are bash's own" "$(complete_words serin lint '')" ""
"$serin" completion tcsh >/dev/null 2>&1
expect "unknown shell" $? 2
exit $((failures > 0))
