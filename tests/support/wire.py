"""serin's wire format and recordings, written by hand from proto/serin/v1/serin.proto and
engine/replay/record/recording.h: tests that use it share no code with the program under test."""
import hashlib
import json
import struct
import time

APPLY, HOLD, RESUME, ABORT = 1, 3, 4, 6
CANARY, BASELINE = 1, 2


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """(number, value, start, end) of each field; value is an int or bytes."""
    at = 0
    while at < len(data):
        start = at
        tag, at = varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = data[at:at + 8], at + 8
        elif kind == 2:
            n, at = varint(data, at)
            value, at = data[at:at + n], at + n
        elif kind == 5:
            value, at = data[at:at + 4], at + 4
        else:
            raise ValueError(f"wire type {kind}")
        yield tag >> 3, value, start, at


def first(data, number, default=None):
    for n, value, _, _ in fields(data):
        if n == number:
            return value
    return default


def put_varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def put(number, value):
    """One field; zero and empty are left out, as proto3 does."""
    if not value:
        return b""
    if isinstance(value, int):
        return put_varint(number << 3) + put_varint(value)
    if isinstance(value, str):
        value = value.encode()
    return put_varint(number << 3 | 2) + put_varint(len(value)) + value


def murmur2(data):
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    for i in range(0, len(data) & ~3, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    tail = data[len(data) & ~3:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def partition(key, partitions):
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions


def command(rollout, verb, plan="", id=None, t_ms=None):
    t_ms = int(time.time() * 1000) if t_ms is None else t_ms
    body = (put(1, id or f"{rollout}-{verb}-{time.time_ns()}") + put(2, rollout) +
            put(3, verb) + put(4, "test") + put(5, "a test") + put(6, t_ms) + put(7, plan))
    return put(1, 1) + put(3, body)


def partial(rollout, cells):
    """cells: (cohort, metric, window_ms, n, bad)"""
    body = put(1, rollout) + put(2, "worker-1")
    for cohort, metric, window_ms, n, bad in cells:
        body += put(3, put(1, cohort) + put(3, metric) + put(4, window_ms) + put(5, n) +
                    put(6, bad))
    return put(1, 1) + put(2, body + put(4, sum(c[3] for c in cells)))


def ingest_tick(wall_ms, watermark_ms):
    source = put(1, "metrics") + put(3, 1) + put(4, watermark_ms)
    return put(1, 1) + put(5, put(1, "worker-1") + put(2, wall_ms) + put(3, source))


def stage_tick(wall_ms, epoch=1):
    return put(1, 1) + put(5, put(1, f"@stage/{epoch}") + put(2, wall_ms))


def verdict(value):
    """(id, rollout, final, digest of the bytes without the signature)"""
    plain = b"".join(value[a:b] for n, _, a, b in fields(value) if n != 42)
    get = {n: v for n, v, _, _ in fields(value)}
    final = get.get(5) == 2 or bool(get.get(10))
    return (get[2].decode(), get[3].decode(), final,
            hashlib.blake2b(plain, digest_size=32).hexdigest())


def frame(kind, number, payload, records=(0, 0, 0)):
    count, low, high = records
    head = b"SFRM" + struct.pack("<BBHIIIIqq", kind, 0, 0, len(payload), len(payload), count,
                                 number, low, high)
    digest = hashlib.blake2b(head + payload, digest_size=32).digest()[:16]
    return head + digest + payload


def recording(records, per_frame=100):
    """A recording file of an inbox; records: (partition, offset, t_ms, key, value)."""
    out = b"SERINREC" + struct.pack("<HHI", 1, 0, 0)
    meta = {"schema": "serin.recording/1", "topics": ["serin.inbox"], "max_lag_ms": 60000}
    out += frame(1, 0, json.dumps(meta).encode())
    number = 1
    for at in range(0, len(records), per_frame):
        part, payload = records[at:at + per_frame], b""
        for p, offset, t_ms, key, value in part:
            payload += struct.pack("<HHiqqII", 0, 0, p, offset, t_ms, len(key), len(value))
            payload += key.encode() + value
        times = [r[2] for r in part]
        out += frame(2, number, payload, (len(part), min(times), max(times)))
        number += 1
    return out + frame(3, number, struct.pack("<Q", len(records)))


def raw_recording(inputs, records, per_frame=100):
    """A recording of input topics, as engine/replay/record/origin.h says; records: (topic,
    partition, offset, t_ms, value) with the number of a topic in inputs."""
    out = b"SERINREC" + struct.pack("<HHI", 1, 1, 0)
    meta = {"schema": "serin.recording/1", "what": "inputs" if inputs else "inbox",
            "topics": [i["topic"] for i in inputs], "inputs": inputs}
    out += frame(1, 0, json.dumps(meta).encode())
    number = 1
    for at in range(0, len(records), per_frame):
        part, payload = records[at:at + per_frame], b""
        for topic, p, offset, t_ms, value in part:
            payload += struct.pack("<HBBiqqII", topic, 1, 0, p, offset, t_ms, 0, len(value))
            payload += value
        times = [r[3] for r in part]
        out += frame(2, number, payload, (len(part), min(times), max(times)))
        number += 1
    return out + frame(3, number, struct.pack("<Q", len(records)))
