#!/bin/sh
# serin plan: what it prints, its JSON, and what it says about wrong words.
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

# plan ARGS...: sets code; output in $dir/out, messages in $dir/err
plan() {
    "$serin" plan "$@" >"$dir/out" 2>"$dir/err" </dev/null
    code=$?
}

good=deploy/plans/canary.yaml
plan $good --rate 2000/s --errors 0.1% --runs 20
expect "table, code" "$code $(cat "$dir/err")" "0 "
expect "table, four steps" "$(grep -cE '^[1-4] +[0-9]+ %' "$dir/out")" 4
expect "table, sixteen regressions" "$(grep -cE '^[0-9.]+x +[1-4] \(' "$dir/out")" 16
expect "the long bakes are warned of" "$(grep -c '^Warning: step [34]: the bake' "$dir/out")" 2
grep -v '^$' "$dir/out" >"$dir/once"
plan $good --rate 120000/min --errors errors=0.001 --runs 20 --metric errors --phi 1
expect "the same asked in other words" "$(grep -v '^$' "$dir/out" | cmp - "$dir/once")" ""

plan $good --rate 2000/s --errors 0.1% --runs 20 --worse 3 --worse 7 -o json
expect "json" "$code $(jq -c '[.schema, .rollout, .rate, .metrics, .runs, .seed, .window_ms,
    (.steps | length), .promoted.runs, (.steps[0].regressions | map(.odds_ratio))]' "$dir/out")" \
    '0 ["serin.outlook/1","checkout-2.4.0",2000,[{"name":"errors","errors":0.001}],20,1,2000,4,20,[3,7]]'
expect "worse is found sooner" "$(jq '.steps | map(.regressions[0].abort.mean_s >
    .regressions[1].abort.mean_s) | all' "$dir/out")" true

plan $good --rate 2000/s --errors 0.1% --runs 3 --latency p50=80ms,p99=600ms \
    --slower 1.5 --tail 2%:1s -o json
expect "latencies" "$code $(jq -c '[.metrics[1], (.steps[3].regressions | map(del(.abort, .promoted, .undecided, .requests, .hurt))), .steps[0].slowest]' "$dir/out")" \
    '0 [{"name":"latency","p50_ms":80,"p99_ms":600},[{"metric":"latency","times_longer":1.5},{"metric":"latency","extra_ms":1000,"share":0.02}],"errors"]'
expect "a latency without its base is told of" "$(grep -c 'latency is not in these times: its usual p50' "$dir/once")" 1

plan deploy/plans/kinds.yaml --rate 2000/s --errors 0.1% --errors checkouts=3% --runs 1 --worse 2 \
    --gauge cpu:mean=40,sd=5,pods=10 --saturation share=1%,pods=10 --events 3/h --metric cpu -o json
expect "every kind" "$code $(jq -c '[(.metrics[-2:] | map(del(.name))), .steps[0].slowest, .steps[0].regressions[0].level_ratio,
    .steps[0].regressions[0].hurt]' "$dir/out")" \
    '0 [[{"mean":40,"sd":5,"pods":10},{"errors":0.01,"pods":10}],"cpu",2,null]'
expect "the one left out is named" "$(jq -r '.warnings[].message' "$dir/out" | grep -c '^metric latency is not in these times')" 1
plan deploy/plans/blue_green.yaml --rate 200/s --errors 0.1% --runs 1
expect "what is not known is named" "$code $(grep -cE '^Warning: step 2: preview: not simulated|^Warning: metric latency is not in' "$dir/out")" "0 2"
expect "a pause takes its time" "$(grep -cE '^3 +pause +- +- +5 min +5 min' "$dir/out")" 1
plan deploy/plans/flag.yaml --rate 2000/s --errors 0.1% --runs 1 --segment internal=0.5% -o json
expect "segments" "$code $(jq -c '[.steps[] | [.kind, .simulated, .weight_bp]]' "$dir/out")" \
    '0 [["weight",true,0],["weight",false,0],["weight",true,50],["weight",true,1000],["analysis_only",true,1000],["weight",true,5000],["pause",true,5000]]'
plan deploy/plans/experiment.yaml --rate 200/s --errors 0.1% --errors conversion=5% --runs 20 --effect 1.2 --worse 10
expect "an experiment" "$code $(grep -cE '^1.2x in conversion +100 % in [0-9.]+ min' "$dir/out") $(grep -cE '^10x in errors .* 100 % in ' "$dir/out")" "0 1 1"
expect "an experiment, in JSON" "$("$serin" plan deploy/plans/experiment.yaml --rate 2/s --errors 1% --runs 2 -o json |
    jq -c '[.experiment[].effect.odds_ratio]')" '[null,1.05,1.1,1.2]'

plan $good --rate 5/s --errors 0.1% --runs 5 --worse 10
expect "too slow, code" "$code" 0
expect "too slow, said" "$(grep -c '^Warning: step 1: can never pass: min_requests 1000 takes 5.56 h' "$dir/out")" 1
expect "too slow, nothing promoted" "$(grep -c '^Promoted to 100 % in - (p90 -): 0 %' "$dir/out")" 1

# refused WHAT-IT-SAYS ARGS...
refused() {
    said=$1
    shift
    plan "$@"
    grep -qF -e "$said" "$dir/err" && [ "$code" = 2 ] && [ ! -s "$dir/out" ] && return
    echo "FAILED: plan $*: exit $code, \"$(cat "$dir/err")\", expected \"$said\""
    failures=$((failures + 1))
}
refused "--rate is missing" $good --errors 1%
refused "--rate fast" $good --rate fast --errors 1%
refused "--rate -5/s" $good --rate -5/s --errors 1%
refused "--rate 0" $good --rate 0 --errors 1%
refused "--rate nan" $good --rate nan --errors 1%
refused "share of bad requests of errors is missing" $good --rate 5/s
refused "--errors 120%" $good --rate 5/s --errors 120%
refused "no metric \"latencies\"" $good --rate 5/s --errors latencies=1%
refused "no metric \"x\"" $good --rate 5/s --errors 1% --metric x
refused "--worse 1:" $good --rate 5/s --errors 1% --worse 1
refused "--latency p50=80ms:" $good --rate 5/s --errors 1% --latency p50=80ms
refused "--latency p50=8ms,p99=8s:" $good --rate 5/s --errors 1% --latency p50=8ms,p99=8s
refused "no metric \"x\"" $good --rate 5/s --errors 1% --latency x:p50=8ms,p99=9ms
refused "no latency of mode gate" $good --rate 5/s --errors 1% --slower 2
refused "--slower 1:" $good --rate 5/s --errors 1% --latency p50=8ms,p99=9ms --slower 1
refused "--tail 500ms:" $good --rate 5/s --errors 1% --latency p50=8ms,p99=9ms --tail 500ms
refused "no experiment to ask about" $good --rate 5/s --errors 1% --effect 1.1
refused "--effect 1:" deploy/plans/experiment.yaml --rate 5/s --errors 1% --effect 1
refused "of --effect" deploy/plans/experiment.yaml --rate 5/s --errors 1% --metric conversion
refused "--gauge mean=40,sd=5:" $good --rate 5/s --errors 1% --gauge mean=40,sd=5
refused "--gauge mean=40,sd=5,pods=1:" $good --rate 5/s --errors 1% --gauge mean=40,sd=5,pods=1
refused "errors is of another kind" $good --rate 5/s --errors 1% --gauge errors:mean=40,sd=5,pods=8
refused "--saturation share=2,pods=8:" $good --rate 5/s --errors 1% --saturation share=2,pods=8
refused "--preview none:" $good --rate 5/s --errors 1% --preview none
refused "--segment internal:" $good --rate 5/s --errors 1% --segment internal
refused "--events many:" $good --rate 5/s --errors 1% --events many
refused "--runs 0" $good --rate 5/s --errors 1% --runs 0
refused "--phi 0.5" $good --rate 5/s --errors 1% --phi 0.5
refused "cannot be opened" "$dir/none" --rate 5/s --errors 1%
echo "id: A" >"$dir/bad"
refused "bad:1:5: id:" "$dir/bad" --rate 5/s --errors 1%
exit $((failures > 0))
