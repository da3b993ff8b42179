#!/bin/bash
# tests/bench/run.sh [--quick] [--peers] [--no-install] [NAME...] -- build in build/bench, run
# the bench programs on the embedded and on a real broker, print one JSON document on stdout.
# --peers: only serin beside its peers on one topic (peers/run.sh).
set -euo pipefail
cd "$(dirname "$0")/../.."

quick=() install=1 only=() peers=0
for argument in "$@"; do
    case $argument in
    --quick) quick=(--quick) ;;
    --no-install) install=0 ;;
    --peers) peers=1 ;;
    -*)
        sed -n '2,4s/^# //p' "$0" >&2
        exit 2
        ;;
    *) only+=("$argument") ;;
    esac
done
[ "$install" -eq 0 ] || deploy/install.sh deploy/packages.txt tests/packages.txt

out=$(mktemp -d)
bootstrap='' store=$out/kafka
# shellcheck disable=SC2317 # called by the trap
finish() {
    [ -z "$bootstrap" ] || tests/support/kafka.sh stop --dir "$store" || true
    rm -rf "$out"
}
trap finish EXIT

{
    cmake -S . -B build/bench -G Ninja -DCMAKE_BUILD_TYPE=Release -DSERIN_TESTS=ON
    mapfile -t programs < <(ninja -C build/bench -t targets all | sed -n 's/^\(bench_[a-z_]*\): .*/\1/p' | sort -u)
    ninja -C build/bench serin loadgen "${programs[@]}"
} >"$out/build.log" 2>&1 || {
    tail -n 30 "$out/build.log" >&2
    echo "bench: the build failed" >&2
    exit 1
}

wanted() { [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]]; }

# measure NAME BROKER COMMAND...: its JSON goes into the document, marked with both.
measure() {
    local name=$1 broker=$2
    shift 2
    echo "bench: $name, $broker broker" >&2
    if ! "$@" >"$out/one.json" || ! jq -e . "$out/one.json" >/dev/null; then
        echo "bench: $name failed or printed no JSON" >&2
        return 1
    fi
    jq -c --arg name "$name" --arg broker "$broker" \
        '{bench: $name, broker: $broker, result: .}' "$out/one.json" >>"$out/all.jsonl"
}

touch "$out/all.jsonl"
failed=0
# Throughput needs the compiler's best effort from the JVM as well.
export SERIN_KAFKA_JAVA="-Xms1g -Xmx1g -XX:+UseSerialGC"
bootstrap=$(tests/support/kafka.sh start --port 0 --dir "$store" \
    --set auto.create.topics.enable=true --set num.partitions=4)
if [ "$peers" -eq 1 ]; then
    measure peers real tests/bench/peers/run.sh "$bootstrap" build/bench "${quick[@]}" || failed=1
    programs=() only=(none)
fi
for program in "${programs[@]}"; do
    wanted "$program" || continue
    kind=none
    grep -q -e '--bootstrap' "tests/bench/$program.c" && kind=embedded
    measure "$program" "$kind" build/bench/tests/"$program" "${quick[@]}" || failed=1
    if [ "$kind" = embedded ]; then
        measure "$program" real build/bench/tests/"$program" --bootstrap "$bootstrap" \
            "${quick[@]}" || failed=1
    fi
done
if wanted tune; then
    measure tune none tests/bench/tune.py build/bench/serin "${quick[@]}" || failed=1
fi
if wanted engine; then
    measure engine real tests/bench/engine.py build/bench/serin "$bootstrap" "${quick[@]}" ||
        failed=1
fi
if wanted commands; then
    measure commands real tests/bench/commands.py build/bench/serin "$bootstrap" "${quick[@]}" ||
        failed=1
fi

jq -s --arg version "$(build/bench/serin version)" --arg cpus "$(nproc)" \
    --arg cpu "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
    --arg date "$(date -u +%Y-%m-%dT%H:%MZ)" \
    '{version: $version, date: $date, cpu: $cpu, cpus: ($cpus | tonumber), runs: .}' \
    "$out/all.jsonl"
exit "$failed"
