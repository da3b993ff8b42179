#!/bin/bash
# tests/bench/peers/run.sh BOOTSTRAP BUILD [--quick|--smoke] -- serin and its peers on one topic
#
# Fills a topic with 1 sample a message and one with 100, reads each once to warm the page
# cache, then lets every reader read it, three rounds in turn; prints one JSON object: the
# median of each reader, and by how much more CPU a sample costs it than serin.
# --smoke: few messages, one round; fails unless all of them counted the same.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../.."
bootstrap=$1 build=$2 mode=${3:-}
case $mode in
'') single=4000000 batched=400000 rounds=3 ;;
--quick) single=2000000 batched=60000 rounds=3 ;;
--smoke) single=20000 batched=1000 rounds=1 ;;
*) sed -n '2,7s/^# \?//p' "$0" >&2 && exit 2 ;;
esac
work=$build/peers
mkdir -p "$work/libs" "$work/classes" "$work/proto"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

prepare_streams() {
    [ -f "$work/libs/.complete" ] || {
        mvn -B -q -f "$here/streams/pom.xml" dependency:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$(realpath "$work/libs")"
        touch "$work/libs/.complete"
    }
    javac -d "$work/classes" -cp "$work/libs/*" "$here/streams/WindowCount.java"
}

prepare_python() {
    [ -f "$work/venv/.complete" ] || {
        python3 -m venv "$work/venv"
        "$work/venv/bin/pip" -q install -r "$here/python/requirements.txt"
        touch "$work/venv/.complete"
    }
    protoc --python_out="$work/proto" proto/serin/v1/serin.proto
}

# read_by READER TOPIC SAMPLES MESSAGES: one JSON object on standard output.
read_by() {
    local topic=$2 samples=$3 messages=$4
    case $1 in
    floor | serin)
        "$build/tests/bench_ingest" --bootstrap "$bootstrap" --reader "$1" --topic "$topic" \
            --samples "$samples" --messages "$messages"
        ;;
    streams*)
        local merge=()
        [ "$1" = streams ] || merge=(--merge)
        java -Xms256m -Xmx1g -XX:+UseSerialGC -cp "$work/classes:$work/libs/*" WindowCount \
            "$bootstrap" "$topic" "$messages" "${merge[@]}"
        ;;
    python)
        PYTHONPATH=$work/proto "$work/venv/bin/python" -B "$here/python/window_count.py" \
            "$bootstrap" "$topic" "$messages"
        ;;
    esac
}

prepare_streams >&2
prepare_python >&2
: >"$out/all.jsonl"
for samples in 1 100; do
    topic=peers-$$-$samples messages=$single readers=(floor serin streams python)
    [ $samples = 1 ] || messages=$batched readers=(floor serin streams streams-merge python)
    "$build/tests/loadgen" --bootstrap "$bootstrap" --topic "$topic" --partitions 4 \
        --rollouts 100 --samples $samples --messages "$messages" \
        --per-second $((samples == 1 ? 1000000 : 100000)) >"$out/wrote.json"
    read_by floor "$topic" $samples "$messages" >/dev/null
    for ((round = 1; round <= rounds; round++)); do
        for reader in "${readers[@]}"; do
            echo "peers: $samples a message, round $round, $reader" >&2
            read_by "$reader" "$topic" $samples "$messages" >"$out/one.json"
            jq -c --slurpfile wrote "$out/wrote.json" --argjson per "$samples" \
                '. + {per_message: $per, expected: ($wrote[0] | {units, bad})}' \
                "$out/one.json" >>"$out/all.jsonl"
        done
    done
done

# Every peer counted every sample; those that tell what the samples add up to are right.
wrong=$(jq -c 'select(.samples != .messages * .per_message or
    (has("units") and ([.units, .bad] != [.expected.units, .expected.bad])))' "$out/all.jsonl")
[ -z "$wrong" ] || {
    echo "peers: counts differ: $wrong" >&2
    exit 1
}
jq -s 'def median: sort | .[length / 2 | floor];
    (group_by([.per_message, .reader]) | map({
        per_message: .[0].per_message, reader: .[0].reader, rounds: length,
        messages_per_s: (map(.messages / .seconds) | median | round),
        samples_per_s: (map(.samples / .seconds) | median | round),
        cpu_s_per_million_samples: (map(.cpu_s / .samples * 1e6) | median * 1e4 | round / 1e4),
        rss_mib: (map(.rss_kib / 1024) | median | round)})) as $all
    | {readers: [$all[] | . as $r | . + {cpu_to_serin: (.cpu_s_per_million_samples /
        ($all[] | select(.reader == "serin" and .per_message == $r.per_message)
         | .cpu_s_per_million_samples) * 100 | round / 100)}]}' "$out/all.jsonl"
