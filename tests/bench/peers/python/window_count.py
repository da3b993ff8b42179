#!/usr/bin/env python3
"""The script one would otherwise write: serin.v1.Batch records of a topic, counted by
rollout, cohort, metric and second, to an output topic.

window_count.py BOOTSTRAP TOPIC MESSAGES      PYTHONPATH holds proto/serin/v1/serin_pb2
Batches of 10 000 records, protobuf's C parser, a flush every 200 ms. Prints one JSON object."""

import json
import os
import resource
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from proto.serin.v1 import serin_pb2

FLUSH_S = 0.2


def add_batch(table, value):
    """Fold one record into the table; how many samples it had."""
    samples = 0
    for c in serin_pb2.Batch.FromString(value).columns:
        key = f"{c.rollout}|{c.cohort}|{c.metric}"
        t, dt, units = c.base_ms, c.dt_ms, c.n
        for i, bad in enumerate(c.bad):
            if dt:
                t += dt[i]
            cell = table.setdefault((key, t // 1000), [0, 0])
            cell[0] += units[i] if units else 1
            cell[1] += bad
        samples += len(c.bad)
    return samples


def flush(producer, topic, table):
    for (key, second), (n, bad) in table.items():
        producer.produce(topic, json.dumps({"n": n, "bad": bad}), f"{key}@{second}")
    producer.poll(0)
    sums = [sum(cell[k] for cell in table.values()) for k in (0, 1)]
    table.clear()
    return sums


def main():
    bootstrap, topic, expected = sys.argv[1], sys.argv[2], int(sys.argv[3])
    out = f"{topic}-python-{os.getpid()}"
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": out,
                         "enable.auto.commit": False, "fetch.min.bytes": 65536,
                         "fetch.wait.max.ms": 50, "queued.min.messages": 1000000})
    producer = Producer({"bootstrap.servers": bootstrap, "compression.codec": "lz4",
                         "linger.ms": 5, "allow.auto.create.topics": True})
    parts = consumer.list_topics(topic, 10).topics[topic].partitions
    began, cpu = time.monotonic(), time.process_time()
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in parts])
    table, messages, samples, total, flushed = {}, 0, 0, [0, 0], began
    while messages < expected:
        for m in consumer.consume(10000, 0.05):
            if m.error() is not None:
                raise SystemExit(str(m.error()))
            samples += add_batch(table, m.value())
            messages += 1
        if time.monotonic() - flushed >= FLUSH_S:
            total = [a + b for a, b in zip(total, flush(producer, out, table))]
            flushed = time.monotonic()
    total = [a + b for a, b in zip(total, flush(producer, out, table))]
    seconds, used = time.monotonic() - began, time.process_time() - cpu
    if producer.flush(30) != 0:
        raise SystemExit("the output was not written")
    consumer.close()
    print(json.dumps({"reader": "python", "messages": messages, "samples": samples,
                      "units": total[0], "bad": total[1], "seconds": round(seconds, 3),
                      "cpu_s": round(used, 3),
                      "rss_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


if __name__ == "__main__":
    main()
