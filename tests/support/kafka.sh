#!/usr/bin/env bash
# A real Apache Kafka (KRaft) on 127.0.0.1 for tests and for trying things out.
#
#   kafka.sh start [--brokers 1|3] [--port N] [--dir D] [--set key=value]...
#                            fresh data; prints the bootstrap address, nothing else
#   kafka.sh stop            stop all of its brokers and remove the data
#   kafka.sh kill N          SIGKILL broker N (1..3)
#   kafka.sh restart N       start broker N again on its old data, wait until ready
#   kafka.sh fetch           only download
#
# --port 0 takes a free one; broker i listens on port+i-1 (clients) and port+i+9
# (controller). --dir defaults to a folder that the port names; give stop, kill and
# restart the same --port or --dir. Downloads once into SERIN_KAFKA_CACHE
# (~/.cache/serin/kafka); SERIN_KAFKA_VERSION chooses the version. Needs mvn and java.
set -euo pipefail

version=${SERIN_KAFKA_VERSION:-3.9.1}
cache=${SERIN_KAFKA_CACHE:-$HOME/.cache/serin/kafka}
libs=$cache/$version
brokers=1 port=9092 dir='' settings=()

die() { echo "kafka.sh: $*" >&2; exit 1; }

fetch() {
    [ -f "$libs/.complete" ] && return
    command -v mvn >/dev/null || die "mvn not found: apt-get install maven"
    mkdir -p "$cache"
    exec 9>"$cache/.lock"
    flock 9 # several tests may start at once: one downloads, the others wait
    if [ ! -f "$libs/.complete" ]; then
        local logger=org.slf4j:slf4j-reload4j:1.7.36 pom
        case $version in [4-9].*) logger=org.apache.logging.log4j:log4j-slf4j-impl:2.24.3 ;; esac
        IFS=: read -r group artifact release <<<"$logger"
        pom=$(mktemp -d)
        cat >"$pom/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>serin</groupId><artifactId>kafka-for-tests</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$release</version></dependency>
</dependencies></project>
POM
        rm -rf "$libs"
        echo "kafka.sh: downloading Apache Kafka $version into $libs" >&2
        mvn -B -q -f "$pom/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
            -DoutputDirectory="$libs" >&2 || die "the download failed; is Maven Central reachable?"
        rm -rf "$pom"
        ls "$libs"/kafka_2.13-*.jar >/dev/null || die "the download in $libs has no kafka jar"
        touch "$libs/.complete"
    fi
    exec 9>&-
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
    local i
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        for i in 0 1 2 10 11 12; do taken $((port + i)) && continue 2; done
        return 0
    done
    die "no free port found"
}

properties() { # of broker $1
    local i=$1 n=1 isr=1 voters='' k
    [ "$brokers" = 3 ] && n=3 isr=2
    for ((k = 1; k <= brokers; k++)); do voters+="${voters:+,}$k@127.0.0.1:$((port + k + 9))"; done
    cat <<CONF
process.roles=broker,controller
node.id=$i
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:$((port + i - 1)),CONTROLLER://127.0.0.1:$((port + i + 9))
advertised.listeners=PLAINTEXT://127.0.0.1:$((port + i - 1))
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=$dir/data$i
auto.create.topics.enable=false
default.replication.factor=$n
min.insync.replicas=$isr
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
offsets.topic.replication.factor=$n
transaction.state.log.replication.factor=$n
transaction.state.log.min.isr=$isr
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.backoff.ms=200
CONF
    for k in "${settings[@]}"; do echo "$k"; done
}

launch() { # broker $1 in its own session, all descriptors closed to us
    cd "$dir"
    : >"$dir/broker$1.log"
    # shellcheck disable=SC2086 # options are words
    setsid java ${SERIN_KAFKA_JAVA:--Xms512m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1} \
        -Dlog4j.configuration="file:$dir/log4j.properties" -cp "$libs/*" \
        kafka.Kafka "$dir/server$1.properties" >>"$dir/broker$1.log" 2>&1 </dev/null &
    echo $! >"$dir/broker$1.pid"
}

alive() { # is broker $1 ours and running?
    local pid
    pid=$(cat "$dir/broker$1.pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$dir/server$1.properties"
}

ready() {
    local i
    for i in $(seq 1200); do
        grep -q "Kafka Server started" "$dir/broker$1.log" && return
        # Not alive(): just after the fork it is not java yet.
        kill -0 "$(cat "$dir/broker$1.pid")" 2>/dev/null ||
            { tail -n 20 "$dir/broker$1.log" >&2; die "broker $1 died at start (above)"; }
        sleep 0.1
    done
    tail -n 20 "$dir/broker$1.log" >&2
    die "broker $1 not ready after 120 s"
}

stop_one() {
    alive "$1" || return 0
    local pid
    pid=$(cat "$dir/broker$1.pid")
    kill -TERM "$pid" 2>/dev/null || return 0
    for _ in $(seq 100); do alive "$1" || return 0; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
}

stop() {
    local i
    [ -d "$dir" ] || return 0
    # Only a folder that start made is removed.
    [ -f "$dir/cluster" ] || die "$dir is not a folder of kafka.sh"
    # A controller quorum that has lost its majority stops slowly: end all at once.
    for i in 1 2 3; do [ -f "$dir/broker$i.pid" ] && { stop_one "$i" & } done
    wait
    rm -rf "$dir"
}

start() {
    local i uuid
    [ "$brokers" = 1 ] || [ "$brokers" = 3 ] || die "--brokers is 1 or 3"
    command -v java >/dev/null || die "java not found: apt-get install default-jre-headless"
    fetch
    for ((i = 1; i <= brokers; i++)); do
        taken $((port + i - 1)) && die "port $((port + i - 1)) is taken; stop its user or give --port 0"
    done
    mkdir -p "$dir"
    echo "$brokers $port" >"$dir/cluster"
    cat >"$dir/log4j.properties" <<'CONF'
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n
log4j.logger.kafka.server.KafkaRaftServer=INFO
CONF
    uuid=$(java -XX:TieredStopAtLevel=1 -cp "$libs/*" kafka.tools.StorageTool random-uuid 2>/dev/null | tail -n 1)
    for ((i = 1; i <= brokers; i++)); do
        properties "$i" >"$dir/server$i.properties"
        java -XX:TieredStopAtLevel=1 -cp "$libs/*" kafka.tools.StorageTool format -t "$uuid" \
            -c "$dir/server$i.properties" >"$dir/format$i.log" 2>&1 ||
            { cat "$dir/format$i.log" >&2; die "formatting the storage of broker $i failed (above)"; }
    done
    for ((i = 1; i <= brokers; i++)); do launch "$i"; done
    for ((i = 1; i <= brokers; i++)); do ready "$i"; done
}

bootstrap() {
    local i out=''
    for ((i = 1; i <= brokers; i++)); do out+="${out:+,}127.0.0.1:$((port + i - 1))"; done
    echo "$out"
}

verb=${1:-} which=''
[ $# -gt 0 ] && shift
case $verb in kill | restart) which=${1:-}; [ -n "$which" ] && shift ;; esac
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || die "$1 needs a value"
    case $1 in
    --brokers) brokers=$2 ;;
    --port) port=$2 ;;
    --dir) dir=$2 ;;
    --set) settings+=("$2") ;;
    *) die "unknown option $1 (see the head of this file)" ;;
    esac
    shift 2
done
[ "$port" = 0 ] && [ "$verb" = start ] && free_port
dir=${dir:-${TMPDIR:-/tmp}/serin-kafka-$(id -u)-$port}
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac

case $verb in
start)
    stop
    trap stop EXIT # a start that fails leaves nothing running
    start
    trap - EXIT
    bootstrap
    ;;
stop) stop ;;
kill | restart)
    [ -f "$dir/server$which.properties" ] || die "no broker \"$which\" in $dir"
    if [ "$verb" = kill ]; then
        alive "$which" && kill -KILL "$(cat "$dir/broker$which.pid")"
        while alive "$which"; do sleep 0.02; done
    else
        fetch
        stop_one "$which"
        launch "$which"
        ready "$which"
    fi
    ;;
fetch) fetch ;;
*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
esac
