#!/bin/sh
# kafka1.sh start|stop BUILD_DIR: the broker that integration tests share (fixture kafka1);
# its address goes into BUILD_DIR/kafka1.env as SERIN_TEST_BOOTSTRAP
set -e
here=$(dirname "$0")
if [ "$1" = start ]; then
    bootstrap=$("$here/../support/kafka.sh" start --port 0 --dir "$2/kafka1")
    echo "SERIN_TEST_BOOTSTRAP=$bootstrap" >"$2/kafka1.env"
else
    "$here/../support/kafka.sh" stop --dir "$2/kafka1"
    rm -f "$2/kafka1.env"
fi
