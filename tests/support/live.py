"""One serin engine on a test's broker: start it, ask it, add up what it ingested.

Shares no code with the program: the inbox is read by kcat and taken apart by wire.py.
"""
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import venv

import wire

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def wait_for(what, test, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = test()
        if result:
            return result
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s in vain for: {what}")


def run_with(*packages):
    """Go on under a Python that has these PyPI packages, NAME==VERSION, and only them."""
    name = "-".join(package.replace("==", "-") for package in packages)
    folder = os.path.join(ROOT, "build", "venv", name)
    python = os.path.join(folder, "bin", "python3")
    if os.path.realpath(sys.prefix) == os.path.realpath(folder):
        return
    if not os.path.exists(os.path.join(folder, "complete")):
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        open(os.path.join(folder, "complete"), "w", encoding="utf-8").close()
    os.execv(python, [python, "-B", *sys.argv])


def create_topic(bootstrap, name, partitions=4):
    """CreateTopics by hand: brokers for tests create none by themselves."""
    def text(value):
        return struct.pack(">h", len(value)) + value.encode()
    body = (struct.pack(">hhi", 19, 2, 1) + text("test") + struct.pack(">i", 1) + text(name) +
            struct.pack(">ihiii?", partitions, 1, 0, 0, 20000, False))
    host, port = bootstrap.split(",")[0].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 20) as broker:
        broker.sendall(struct.pack(">i", len(body)) + body)
        size = struct.unpack(">i", broker.recv(4, socket.MSG_WAITALL))[0]
        answer = broker.recv(size, socket.MSG_WAITALL)
    # correlation, throttle, one topic: name, error, message
    error = struct.unpack_from(">h", answer, 4 + 4 + 4 + 2 + len(name))[0]
    check(error in (0, 36), f"topic {name}: error {error}")  # 36: it exists


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Unix(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def connected(bootstrap):
    """The section of serin.yaml for brokers that let everybody in."""
    return f'kafka: {{bootstrap.servers: "{bootstrap}"}}'


class Engine:
    """`serin run` with a configuration of its own; calling it is the command line."""

    def __init__(self, program, folder, bootstrap, prefix, config, listen=(), kafka=None):
        self.program, self.bootstrap, self.prefix = program, bootstrap, prefix
        self.address = f"unix:{folder}/serin.sock"
        addresses = json.dumps([self.address, *listen])
        path = os.path.join(folder, "serin.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{kafka or connected(bootstrap)}\n"
                       f"topics: {{prefix: \"{prefix}\", partitions: 2}}\n"
                       f"http: {{listen: {addresses}, insecure: true}}\n{config}")
        self.command = [program, "run", "--config", path]
        self.start()

    def __call__(self, *arguments, code=0, text=None):
        out = subprocess.run([self.program, *arguments], text=True, input=text,
                             capture_output=True, timeout=60, check=False,
                             env={**os.environ, "SERIN_ADDR": self.address})
        if code is not None:
            check(out.returncode == code, f"serin {arguments}: exit code {out.returncode}, "
                  f"expected {code}: {out.stdout}{out.stderr}")
        return out

    def json(self, *arguments):
        return json.loads(self(*arguments, "-o", "json").stdout)

    def verdicts(self, rollout):
        told = self.json("history", rollout)
        return told if isinstance(told, list) else told["verdicts"]

    def weight_bp(self, rollout):
        """What the verdicts say now, as a proxy would follow them; and whether it ended."""
        told = self.verdicts(rollout)
        return (told[-1]["to_bp"], told[-1]["final"]) if told else (0, False)

    def request(self, method, path, body=None, headers=None):
        connection = Unix(self.address.removeprefix("unix:"))
        try:
            connection.request(method, path, body, headers or {})
        except BrokenPipeError:
            pass  # refused before the body was read: the answer is there
        answer = connection.getresponse()
        result = answer.status, answer.read(), answer.headers
        connection.close()
        return result

    def metric(self, name):
        """The sum of a metric over its labels; None: no such line."""
        text = self.request("GET", "/metrics")[1].decode()
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, found)) if found else None

    def ready(self):
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def start(self):
        """Until it can answer for every rollout."""
        self.process = subprocess.Popen(self.command)
        wait_for("the engine", self.ready)

    def restart(self):
        """SIGKILL, and the same again."""
        self.process.kill()
        self.process.wait()
        self.start()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(60)
            check(code == 0, f"serin run ended with {code} after SIGTERM")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def check_counts(self, expected, only):
        """What was ingested for the rollouts whose ids begin with `only`, exactly."""
        sums, poison = self.ingested()
        got = {(rollout.removeprefix(only), cohort, metric): total
               for (rollout, cohort, metric), total in sums.items()
               if rollout.startswith(only)}
        check(got == expected and poison == 0,
              f"expected {expected}, ingested {got}, {poison} poisoned")
        print("ingested exactly:", got)

    def ingested(self):
        """{(rollout, cohort, metric): [n, bad]} over all committed partials, and their
        poison. The engine must have been stopped: kcat waits for open transactions."""
        out = subprocess.run(
            ["kcat", "-C", "-e", "-q", "-b", self.bootstrap, "-t", self.prefix + "inbox",
             "-o", "beginning", "-X", "isolation.level=read_committed", "-f", "%S\n%s"],
            capture_output=True, check=True, timeout=60).stdout
        sums, poison, at = {}, 0, 0
        while at < len(out):
            end = out.index(b"\n", at)
            size = int(out[at:end])
            record = out[end + 1:end + 1 + size]
            at = end + 1 + size
            partial = wire.first(record, 2)
            if partial is None:
                continue
            rollout = wire.first(partial, 1).decode()
            poison += wire.first(partial, 5, 0)
            for number, cell, _, _ in wire.fields(partial):
                if number != 3:
                    continue
                key = (rollout, "?cb"[wire.first(cell, 1, 0)],
                       wire.first(cell, 3, b"").decode())
                total = sums.setdefault(key, [0, 0])
                total[0] += wire.first(cell, 5, 0)
                total[1] += wire.first(cell, 6, 0)
        return sums, poison
