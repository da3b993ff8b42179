#!/bin/sh
# serin lint and schema: exit codes, where output goes, both forms of it.
set -u
serin=$1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
failures=0

# expect WHAT ACTUAL EXPECTED
expect() {
    [ "$2" = "$3" ] && return
    echo "FAILED: $1: found \"$2\", expected \"$3\""
    failures=$((failures + 1))
}

# lint ARGS...: sets code, out, err
lint() {
    "$serin" lint "$@" >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
    out=$(cat "$dir/out")
    err=$(cat "$dir/err")
}

good=deploy/plans/minimal.yaml
printf 'id: a\ncohorts: {canary: {v: 2}, baseline: {v: 1}}\nmetrics: [{name: e, shere: 2}]\n' \
    >"$dir/bad.yaml"
said="$dir/bad.yaml:3:21: unknown key \"shere\"; did you mean \"share\"?"

lint $good
expect "good plan" "$code $out $err" "0 $good: ok "
lint $good "$dir/bad.yaml"
expect "bad plan, code" "$code" 2
expect "bad plan, messages" "$out" "$good: ok
$said
    metrics: [{name: e, shere: 2}]
                        ^"
lint -o json "$dir/bad.yaml" $good
expect "json, code" "$code" 2
expect "json" "$(jq -c '[.schema, .ok, (.files[] | .ok), .files[0].errors[0].line]' "$dir/out")" \
    '["serin.lint/1",false,false,true,3]'
expect "json, message" "$dir/bad.yaml:3:21: $(jq -r '.files[0].errors[0].message' "$dir/out")" \
    "$said"
printf 'id: a\ncohorts: {canary: {v: 2}, baseline: {v: 1}}\nmetrics: [{name: e}]\nafter: [b, b]\n' \
    >"$dir/odd.yaml"
lint "$dir/odd.yaml"
expect "advice" "$code $out" "0 $dir/odd.yaml: ok
$dir/odd.yaml:4:12: warning: after: b is named twice; was another one meant?"
lint -o json "$dir/odd.yaml"
expect "advice, json" "$code $(jq -r '.files[0].warnings[0]' "$dir/out")" \
    "0 4:12: after: b is named twice; was another one meant?"
lint "$dir/none.yaml"
expect "no such file" "$code $out" \
    "2 $dir/none.yaml: cannot be opened: No such file or directory; check the path"
lint -o json "$dir"
expect "a folder" "$code $(jq -c '.files[0].ok' "$dir/out")" "2 false"
lint -
expect "empty standard input" "$code $out" \
    "2 stdin:1:1: the text is empty; a YAML or JSON map was expected
    
    ^"
lint -o xml $good
expect "unknown format" "$code $out" "2 "
lint
expect "no file" "$code $out" "2 "
head -c 300000 /dev/zero | tr '\0' '#' >"$dir/big.yaml"
lint "$dir/big.yaml"
expect "too big" "$code $out" \
    "2 $dir/big.yaml: larger than 262144 bytes; is it the right file?"
lint --config deploy/serin.yaml
expect "configuration" "$code $out" "0 deploy/serin.yaml: ok"
lint deploy/serin.yaml
expect "a configuration is no plan" "$code $(tail -n 1 "$dir/out")" \
    "2 deploy/serin.yaml: looks like a configuration of the engine; use lint --config"
lint --config $good
expect "a plan is no configuration" "$code" 2
"$serin" schema nothing >/dev/null 2>&1
expect "unknown schema" $? 2
exit $((failures > 0))
