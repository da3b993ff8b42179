#!/usr/bin/env python3
"""`serin run` as a service sees it: start, readiness, signals, refusals, metrics.

test_run.py SERIN; no broker but the embedded one is needed.
"""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

LIMIT_S = 60  # nothing is timed below it; it ends a test that hangs


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def wait_for(what, test):
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        result = test()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"waited {LIMIT_S} s in vain for: {what}")


class Running:
    """One `serin run`; its lines are collected as they come."""

    def __init__(self, serin, *arguments, env=None):
        self.process = subprocess.Popen([serin, "run", *arguments], text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env={**os.environ, **(env or {})})
        self.out, self.err = [], []
        for stream, lines in ((self.process.stdout, self.out),
                              (self.process.stderr, self.err)):
            threading.Thread(target=lambda s=stream, l=lines: l.extend(iter(s.readline, "")),
                             daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self, text):
        return [line for line in list(self.err) if text in line]

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        return self.process.wait(LIMIT_S)


def get(path, url):
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(path)
    connection.request("GET", url)
    reply = connection.getresponse()
    return reply.status, reply.read().decode()


def start_and_stop(serin, folder):
    """Says ready once, by log, by readyz and to systemd; SIGTERM ends it with 0."""
    sock, notify = os.path.join(folder, "s.sock"), os.path.join(folder, "notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(notify)
    listener.settimeout(LIMIT_S)
    config = os.path.join(folder, "serin.yaml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"inputs: [{{topic: shop.metrics, format: json}}]\n"
                   f'http: {{listen: "unix:{sock}"}}\nfleet: {{level: 5%}}\n'
                   "receive: {prometheus: shop.metrics}\n")
    with Running(serin, "--config", config, "--embedded",
                 env={"NOTIFY_SOCKET": notify}) as run:
        check(listener.recv(100) == b"READY=1", "systemd was not told READY=1")
        wait_for("the ready line", lambda: run.said('msg="ready: '))
        check(get(sock, "/livez")[0] == 200, "livez")
        check(get(sock, "/readyz")[0] == 200, "readyz after ready")
        wait_for("the bootstrap line", lambda: run.out)
        name, _, address = run.out[0].strip().partition("=")
        check(name == "bootstrap.servers", f"printed {run.out}")
        topics = subprocess.run(["kcat", "-L", "-b", address], capture_output=True,
                                text=True, check=True).stdout
        check("serin.inbox" in topics and "shop.metrics" in topics, f"kcat sees {topics}")
        check_metrics(sock, address)
        run.signal(signal.SIGTERM)
        check(run.end() == 0, f"exit code {run.process.returncode} after SIGTERM: {run.err}")
        check(listener.recv(100) == b"STOPPING=1", "systemd was not told STOPPING=1")
        check(len(run.said('msg="ready: ')) == 1, f"ready more than once: {run.err}")
        check(not os.path.exists(sock), "the socket is left behind")
    listener.close()


def check_metrics(sock, address):
    """What was produced is counted, and Prometheus accepts the text."""
    lines = ['{"t_ms":%d,"rollout":"nobody","cohort":"canary","metric":"e","n":5,"bad":1}'
             % (time.time() * 1000)] * 7 + ["not json", '{"t_ms":"x"}']
    subprocess.run(["kcat", "-P", "-b", address, "-t", "shop.metrics"],
                   input="\n".join(lines), text=True, check=True)

    def counted():
        text = get(sock, "/metrics")[1]
        values = dict(line.rsplit(" ", 1) for line in text.splitlines()
                      if line and not line.startswith("#"))
        return text if float(values["serin_ingest_messages_total"]) == 9 and \
            float(values["serin_ingest_unrouted_total"]) == 7 and \
            float(values["serin_ingest_quarantined_total"]) == 2 else None
    text = wait_for("7 unrouted samples and 2 quarantined messages", counted)
    for name in ("serin_stage_partitions", "serin_fold_ticks_total",
                 "serin_stage_lag_records"):
        check(f"\n{name} " in text, f"no {name} in /metrics")
    check_watchers(text)
    verdict = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                             capture_output=True, check=False)
    check(verdict.returncode == 0, f"promtool: {verdict.stdout}{verdict.stderr}")


def check_watchers(text):
    """What deploy/prometheus asks for is there: here, or at serin notify."""
    names = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    with open("engine/cli/cmd_notify.c", encoding="utf-8") as file:
        names |= set(re.findall(r'"(serin_notify_\w+)"', file.read()))
    for file in ("rules.yaml", "dashboard.json"):
        with open(f"deploy/prometheus/{file}", encoding="utf-8") as watcher:
            asked = set(re.findall(r"\b(?:serin|process)_[a-z_]+", watcher.read()))
        check(asked and asked <= names, f"{file} asks for {asked - names}")


def alerts_fire(_, folder):
    """What wakes somebody, and what does not."""
    with open("tests/integration/run/rules_test.yaml", encoding="utf-8") as file:
        cases = file.read().replace("RULES", os.path.abspath("deploy/prometheus/rules.yaml"))
    at = os.path.join(folder, "rules_test.yaml")
    with open(at, "w", encoding="utf-8") as file:
        file.write(cases)
    done = subprocess.run(["promtool", "test", "rules", at], capture_output=True, text=True,
                          check=False)
    check(done.returncode == 0, f"promtool: {done.stdout}{done.stderr}")


def without_broker(serin, folder):
    """Waits, says so once, and a signal still ends it cleanly."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Running(serin, "--brokers", f"127.0.0.1:{port}", "--roles", "decide,serve",
                 "--listen", f"unix:{folder}/w.sock") as run:
        wait_for("the waiting line", lambda: run.said("no broker at"))
        time.sleep(5)  # several attempts of 2 s: still one line
        check(run.process.poll() is None, f"gave up: {run.err}")
        check(len(run.said("no broker at")) == 1, f"said it again and again: {run.err}")
        run.signal(signal.SIGINT)
        check(run.end() == 0, f"exit code {run.process.returncode}: {run.err}")


def recordings(serin, folder):
    """What cannot be written stops nothing, is said once and counted; then it goes on."""
    sock, ring = os.path.join(folder, "r.sock"), os.path.join(folder, "later", "ring")
    config = os.path.join(folder, "serin.yaml")
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"inputs: [{{topic: shop.metrics, format: json}}]\n"
                   f'http: {{listen: "unix:{sock}"}}\n'
                   f"record: {{dir: {ring}, what: both, segment_age: 2s}}\n")

    def metrics():
        text = get(sock, "/metrics")[1]
        return dict(line.rsplit(" ", 1) for line in text.splitlines()
                    if line.startswith("serin_record_")), text
    with Running(serin, "--config", config, "--embedded") as run:
        wait_for("the ready line", lambda: run.said('msg="ready: '))
        wait_for("a failure", lambda: metrics()[0]["serin_record_failures_total"] != "0")
        check(metrics()[0]["serin_record_writing"] == "0", f"writes into nothing: {metrics()[0]}")
        os.mkdir(os.path.dirname(ring))
        address = run.out[0].strip().partition("=")[2]
        subprocess.run(["kcat", "-P", "-b", address, "-t", "shop.metrics"], input="{}\n" * 7,
                       text=True, check=True)
        wait_for("recordings", lambda: int(metrics()[0]["serin_record_segments"]) >= 2)
        counts, text = metrics()
        check(int(counts["serin_record_records_total"]) >= 7 and
              counts["serin_record_writing"] == "1", f"{counts}")
        verdict = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                 capture_output=True, check=False)
        check(verdict.returncode == 0, f"promtool: {verdict.stdout}{verdict.stderr}")
        said = run.said(f"cannot make {ring}")
        check(len(said) == 1, f"said it {len(said)} times: {said}")
        run.signal(signal.SIGTERM)
        check(run.end() == 0, f"exit code {run.process.returncode}: {run.err}")
    inputs = 0
    for name in os.listdir(ring):
        info = subprocess.run([serin, "recording", "info", os.path.join(ring, name), "-o", "json"],
                              capture_output=True, text=True, check=True).stdout
        inputs += json.loads(info)["records_of"]["shop.metrics"]
    check(inputs == 7, f"{inputs} inputs in the recordings, 7 were sent")


def second_signal(serin, folder):
    """The second one does not wait for a clean stop."""
    with Running(serin, "--embedded", "--roles", "decide,serve", "--listen",
                 f"unix:{folder}/t.sock") as run:
        wait_for("ready", lambda: run.said('msg="ready: '))
        run.signal(signal.SIGSTOP)  # both are there before it can act on the first
        run.signal(signal.SIGTERM)
        run.signal(signal.SIGINT)
        run.signal(signal.SIGCONT)
        code = run.end()
        check(code in (-signal.SIGTERM, -signal.SIGINT), f"exit code {code}")


def signed(folder, name, ca=None):
    """A key and a certificate of that name, signed by ca or, without, by itself."""
    at = os.path.join(folder, name)
    signer = ["-CA", f"{ca}.crt", "-CAkey", f"{ca}.key"] if ca else []
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{at}.key", "-out",
                    f"{at}.crt", "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-addext",
                    f"basicConstraints=critical,CA:{'FALSE' if ca else 'TRUE'}", *signer],
                   check=True, capture_output=True)
    return at


def certificates(serin, folder):
    """HTTPS; who shows no certificate of the right signer is let in nowhere."""
    ours, theirs = signed(folder, "ours"), signed(folder, "theirs")
    server, alice = signed(folder, "server", ours), signed(folder, "alice", ours)
    mallory = signed(folder, "mallory", theirs)
    plan, config = os.path.join(folder, "plan.yaml"), os.path.join(folder, "serin.yaml")
    with open(plan, "w", encoding="utf-8") as file:
        file.write("id: shop-2\ncohorts: {canary: {v: '2'}, baseline: {v: '1'}}\n"
                   "metrics: [{name: errors}]\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"inputs: [{{topic: shop.metrics}}]\nhttp: {{listen: \"127.0.0.1:{port}\", "
                   f"tls: {{cert_file: {server}.crt, key_file: {server}.key, "
                   f"client_ca_file: {ours}.crt}}}}\n")

    def ask(*arguments, scheme="https", ca=ours, who=alice):
        shown = ["--cert-file", f"{who}.crt", "--key-file", f"{who}.key"] if who else []
        return subprocess.run([serin, *arguments, "--addr", f"{scheme}://127.0.0.1:{port}",
                               "--ca-file", f"{ca}.crt", *shown],
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)

    with Running(serin, "--config", config, "--embedded") as run:
        wait_for("ready", lambda: run.said('msg="ready: '))
        check(ask("list").returncode == 0, "with a certificate")
        check(ask("apply", plan).returncode == 0, "an act with a certificate")
        context = ssl.create_default_context(cafile=f"{ours}.crt")
        context.load_cert_chain(f"{alice}.crt", f"{alice}.key")
        https = http.client.HTTPSConnection("127.0.0.1", port, context=context)
        https.request("POST", "/v1/rollouts/shop-2/hold", "{}",
                      {"Content-Type": "application/json"})  # the CLI would name an actor
        check(https.getresponse().status == 200, "an act without an actor")
        wait_for("who held it", lambda: "cert:alice" in
                 ask("history", "shop-2", "-o", "json").stdout)
        for reason, code, reply in (
                ("none", 2, ask("list", who=None)),
                ("another signer's", 2, ask("list", who=mallory)),
                ("an act with another signer's", 2, ask("abort", "shop-2", who=mallory)),
                ("a server of another signer", 5, ask("list", ca=theirs)),
                ("plain HTTP", 5, ask("list", scheme="http"))):
            check(reply.returncode == code, f"{reason}: {reply}")
        check("certificate" in ask("list", who=None).stderr, "does not say what is missing")
        for advice, reply in (("--ca-file", ask("list", ca=theirs)),
                              ("https://", ask("list", scheme="http"))):
            check(advice in reply.stderr.rpartition(";")[2], f"advises not: {reply.stderr}")
        os.chmod(f"{server}.key", 0o644)
        run.signal(signal.SIGTERM)
        check(run.end() == 0, f"exit code {run.process.returncode}: {run.err}")
    for key, text in ((f"{server}.key", "0644"), (f"{alice}.key", "no certificate in PEM")):
        subprocess.run(["sed", "-i", f"s,key_file: [^,]*,key_file: {key},", config], check=True)
        done = subprocess.run([serin, "run", "--config", config, "--embedded"],
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)
        check(done.returncode == 2 and text in done.stderr, f"{key}: {done}")


def refusals(serin, folder):
    """Each ends with 2 at once and says what to do."""
    bad = os.path.join(folder, "bad.yaml")
    with open(bad, "w", encoding="utf-8") as file:
        file.write("kafka: {bootstrap.servers: a:1}\ninputz: []\n")
    cases = [
        (["--config", bad], "bad.yaml:2:1:"),
        (["--config", folder + "/none.yaml"], "none.yaml"),
        (["--embedded"], "inputs"),
        (["--roles", "decide,server", "--embedded"], "server"),
        (["--roles", "decide,serve"], "--brokers"),
        (["--roles", "decide,serve", "--embedded", "--listen", "127.0.0.1:0"], "token"),
        (["--frobnicate"], "--frobnicate"),
    ]
    refused = os.path.join(folder, "refused.yaml")
    with open(refused, "w", encoding="utf-8") as file:
        file.write("kafka: {bootstrap.servers: a:1, compression.codec: nonsense}\n"
                   "inputs: [{topic: a}]\n")
    cases.append((["--config", refused], "compression.codec"))
    for arguments, text in cases:
        done = subprocess.run([serin, "run", *arguments], capture_output=True, text=True,
                              timeout=LIMIT_S, check=False)
        check(done.returncode == 2, f"{arguments}: exit code {done.returncode}: "
              f"{done.stderr}")
        check(text in done.stderr, f"{arguments}: \"{text}\" is not in: {done.stderr}")
        check(done.stdout == "", f"{arguments}: messages on stdout: {done.stdout}")


def main():
    serin = os.path.abspath(sys.argv[1])
    for test in (refusals, without_broker, start_and_stop, recordings, second_signal,
                 certificates, alerts_fire):
        with tempfile.TemporaryDirectory(prefix="serin-run-") as folder:
            test(serin, folder)
        print(f"{test.__name__}: ok", flush=True)


if __name__ == "__main__":
    main()
