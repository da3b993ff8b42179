#!/usr/bin/env python3
"""The audit trail on a real broker: signed, whole, and in nobody's way when its topic fails.

Two rollouts run with a signing key. While the audit topic refuses every record, the one that
turns bad is aborted and the one that is ready is not promoted; afterwards it is, and nothing
is missing from the trail. Then the export is checked by PyNaCl and hashlib, which share no
code with serin, and by serin after each kind of tampering.
"""
import base64
import hashlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402

live.run_with("PyNaCl==1.5.0")
import nacl.exceptions  # noqa: E402
import nacl.signing  # noqa: E402
import wire  # noqa: E402

PREFIX, INPUT = "audit.", "audit-metrics"
PLAN = """\
id: {id}
cohorts:
  canary: {{service.name: {id}, service.version: "2"}}
  baseline: {{service.name: {id}, service.version: "1"}}
calibrate: skip
window: 1s
steps:
  - {{weight: 20%, worse_than: 3, bake: {bake}, warmup: 1s}}
  - {{weight: 50%, worse_than: 2, bake: 1h, warmup: 1s, timeout: 2h}}
  - {{weight: 100%}}
metrics: [{{name: errors, phi: 1}}]
sample_ratio: {{check: false}}
"""


def alter(bootstrap, topic, name, value):
    """IncrementalAlterConfigs by hand; value None: back to the default."""
    def text(t):
        return struct.pack(">h", len(t)) + t.encode()
    entry = text(name) + struct.pack(">b", 0 if value is not None else 1)
    entry += text(value) if value is not None else struct.pack(">h", -1)
    body = (struct.pack(">hhi", 44, 0, 1) + text("test") + struct.pack(">ib", 1, 2) +
            text(topic) + struct.pack(">i", 1) + entry + struct.pack(">b", 0))
    host, port = bootstrap.split(",")[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 20) as broker:
        broker.sendall(struct.pack(">i", len(body)) + body)
        size = struct.unpack(">i", broker.recv(4, socket.MSG_WAITALL))[0]
        answer = broker.recv(size, socket.MSG_WAITALL)
    error = struct.unpack_from(">h", answer, 4 + 4 + 4)[0]
    live.check(error == 0, f"{topic}: {name}: error {error}")


class Traffic(threading.Thread):
    """Both services; odds of their canaries may be changed while it runs."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.odds = {"up": 1, "down": 1}
        self.stopping = threading.Event()
        self.kcat = subprocess.Popen(["kcat", "-P", "-b", bootstrap, "-t", INPUT, "-X",
                                      "linger.ms=5"], stdin=subprocess.PIPE, text=True)

    def run(self):
        while not self.stopping.wait(0.2):
            for name, odds in self.odds.items():
                for version, n, bad in (("2", 2000, 20 * odds), ("1", 8000, 80)):
                    self.kcat.stdin.write(json.dumps({
                        "t_ms": round(time.time() * 1000), "metric": "errors", "n": n,
                        "bad": bad, "attributes": {"service.name": name,
                                                   "service.version": version}}) + "\n")
            self.kcat.stdin.flush()

    def stop(self):
        self.stopping.set()
        self.join()
        self.kcat.stdin.close()
        live.check(self.kcat.wait(30) == 0, "kcat could not produce")


def told(bootstrap, rollout):
    """[(id, kind, bytes)] of the verdicts that committed readers see."""
    out = subprocess.run(["kcat", "-C", "-e", "-q", "-b", bootstrap, "-t", PREFIX + "verdicts",
                          "-X", "isolation.level=read_committed", "-f", "%k %S\n%s"],
                         capture_output=True, check=True).stdout
    found, at = [], 0
    while at < len(out):
        end = out.index(b"\n", at)
        key, size = out[at:end].split()
        value = out[end + 1:end + 1 + int(size)]
        at = end + 1 + int(size)
        if key.decode() == rollout:
            found.append((wire.first(value, 2).decode(), wire.first(value, 5), value))
    return found


def refuse_and_recover(engine, traffic, bootstrap):
    promote, abort = 1, 2
    for name in ("up", "down"):
        live.wait_for(f"{name} to start", lambda n=name: engine.weight_bp(n)[0] == 2000)
    # More than the broker's own end of a transaction needs, less than any entry.
    alter(bootstrap, PREFIX + "audit", "max.message.bytes", "150")
    traffic.odds["down"] = 8
    live.wait_for("the abort to be told", lambda: [
        v for v in told(bootstrap, "down") if v[1] == abort])
    live.wait_for("the row of the aborted rollout", lambda: json.loads(
        engine("status", "down", "-o", "json").stdout)["state"] == "ABORTED")
    live.check(engine.metric("serin_stage_unaudited") == 1, "the gauge does not say so")
    time.sleep(6)  # longer than the bake: it is ready, and may not
    live.check([v[1] for v in told(bootstrap, "up")] == [promote],
               "a promotion went out that nobody can audit")
    alter(bootstrap, PREFIX + "audit", "max.message.bytes", None)
    live.wait_for("the promotion that waited", lambda: engine.weight_bp("up")[0] == 5000)
    aborts = [v for v in told(bootstrap, "down") if v[1] == abort]
    live.check(len({v[0] for v in aborts}) == 1 and len({v[2] for v in aborts}) == 1,
               "the abort was told twice, and not in the same words")
    live.check(engine.metric("serin_stage_unaudited") == 0, "the gauge stays up")
    counter = "serin_stage_audit_checkpoints_total"
    before = engine.metric(counter)
    live.wait_for("two more checkpoints", lambda: engine.metric(counter) >= before + 4)


def foreign_check(lines, public):
    """Chain and signatures, by other people's code."""
    point = base64.b64decode(open(public, encoding="ascii").read().split()[1])
    key, chains = nacl.signing.VerifyKey(point), {}
    for number, line in enumerate(lines, 1):
        value = base64.b64decode(json.loads(line)["value"])
        body = b"".join(value[start:end] for n, _, start, end in wire.fields(value) if n < 11)
        digest, seq = wire.first(value, 11), wire.first(value, 3, 0)
        live.check(hashlib.blake2b(body, digest_size=32).digest() == digest, f"hash, {number}")
        key.verify(digest, wire.first(value, 12))
        if seq == 0:
            continue
        chain = chains.setdefault(wire.first(value, 2), [])
        live.check(seq == len(chain) + 1, f"number, {number}")
        live.check(wire.first(value, 10, b"") == (chain[-1] if chain else b""), f"link, {number}")
        chain.append(digest)
    live.check(set(chains) == {b"up", b"down"}, f"rollouts {set(chains)}")


def verify(program, path, public, *more):
    out = subprocess.run([program, "audit", "verify", path, "--key", public, "-o", "json", *more],
                         capture_output=True, text=True, check=False)
    return out.returncode, json.loads(out.stdout) if out.stdout else out.stderr


def tampered(lines, rng):
    """(what, lines, index of the first that must be complained of; None: of the end)"""
    place = rng.randrange(len(lines) - 1)
    line = json.loads(lines[place])
    value = bytearray(base64.b64decode(line["value"]))
    value[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    flipped = json.dumps({**line, "value": base64.b64encode(value).decode()}) + "\n"
    said = json.dumps({**line, "actor": "mallory"}) + "\n"
    mine = [i for i, l in enumerate(lines) if json.loads(l)["key"] == line["key"]]
    after = [i for i in mine if i > place]
    yield "flip", lines[:place] + [flipped] + lines[place + 1:], place + 1
    yield "words", lines[:place] + [said] + lines[place + 1:], place + 1
    yield "double", lines[:place + 1] + [lines[place]] + lines[place + 1:], place + 2
    if not after or json.loads(lines[place]).get("seq") == 0:
        return
    yield "drop", lines[:place] + lines[place + 1:], after[0]
    swapped = list(lines)
    swapped[place], swapped[after[0]] = lines[after[0]], lines[place]
    yield "swap", swapped, place + 1


def tamper(program, folder, lines, public):
    rng, tried = random.Random(11), 0
    path = os.path.join(folder, "tampered.jsonl")
    for _ in range(40):
        for what, changed, index in tampered(lines, rng):
            with open(path, "w", encoding="utf-8") as file:
                file.writelines(changed)
            code, report = verify(program, path, public)
            live.check(code == 1 and report["found"][0].get("index") == index,
                       f"{what} at {index}: {code}, {report}")
            tried += 1
    full = os.path.join(folder, "full.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(l for l in lines if json.loads(l)["key"] != "down" or
                        json.loads(l)["seq"] < 3)
    code, report = verify(program, path, public)
    live.check(code == 1 and report["found"][0]["what"] == "cut", f"checkpoint: {report}")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(lines[:5])
    code, report = verify(program, path, public, "--against", full)
    live.check(code == 1 and report["found"][0]["what"] == "cut", f"against: {report}")
    return tried


def export(engine, folder):
    full, config = os.path.join(folder, "full.jsonl"), os.path.join(folder, "serin.yaml")
    engine("audit", "export", "--config", config, "--out", full)
    with open(full, encoding="utf-8") as file:
        return full, file.readlines()


def main():
    program, bootstrap = sys.argv[1], os.environ["SERIN_TEST_BOOTSTRAP"]
    with tempfile.TemporaryDirectory(prefix="serin-audit-") as folder:
        key = os.path.join(folder, "key")
        subprocess.run([program, "audit", "keygen", key], check=True, capture_output=True)
        live.create_topic(bootstrap, INPUT)
        engine = live.Engine(program, folder, bootstrap, PREFIX,
                             f"inputs: [{{topic: {INPUT}}}]\ninstance: audit\n"
                             f"audit: {{key_file: {key}, checkpoint: 1s}}\n")
        traffic = Traffic(bootstrap)
        traffic.start()
        try:
            engine("apply", "-", text=PLAN.format(id="up", bake="10s"))
            engine("apply", "-", text=PLAN.format(id="down", bake="25m"))
            refuse_and_recover(engine, traffic, bootstrap)
            engine.restart()
            engine("hold", "up", "--reason", "to have one more entry")
            traffic.stop()
            engine.stop()
            full, lines = export(engine, folder)
            foreign_check(lines, key + ".pub")
            code, report = verify(program, full, key + ".pub")
            live.check(code == 0 and report["whole"] and report["rollouts"] == 2 and
                       report["checkpoints"] >= 2, f"not whole: {report}")
            tried = tamper(program, folder, lines, key + ".pub")
            print(f"{len(lines)} entries, {tried} tamperings found")
        finally:
            traffic.stopping.set()
            engine.kill()


main()
