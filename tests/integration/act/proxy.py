#!/usr/bin/env python3
"""The loop closed on a real proxy: requests -> HAProxy -> two servers -> access log -> Kafka ->
serin -> actuator -> HAProxy.

The canary turns bad, by errors or by an added delay. Printed: time from the first bad request to 0 %
for the canary, and how many requests were hurt. Then the faults: a restarted proxy, a socket that is
gone, an engine that is killed; never is the canary's weight above the last verdict's.
"""
import asyncio
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402

INPUT = "access-log"
PLAN = """\
id: {id}
cohorts: {{canary: {{backend: {id}-canary}}, baseline: {{backend: {id}-baseline}}}}
calibrate: skip
window: 1s
steps:
  - {{weight: 20%, worse_than: 4, bake: 25m, warmup: 1s}}
  - {{weight: 100%}}
metrics:
  - {{name: errors, phi: 1}}
  - {{name: latency, kind: latency, phi: 1}}
sample_ratio: {{tolerance: 20%}}
actuate: {{targets: [edge, spare]}}
"""
LOG = '{"backend":"%b","status":%ST,"ms":%Ta}'


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Haproxy:
    """One process with a configuration of its own."""
    kind = "haproxy"

    def __init__(self, folder, name, text):
        self.path = os.path.join(folder, name + ".cfg")
        self.socket = os.path.join(folder, name + ".sock")
        self.process = None
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text.replace("@SOCKET@", self.socket))

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", self.path])
        live.wait_for("haproxy", lambda: self.ask("show info"))

    def ask(self, command):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.socket)
                s.sendall(command.encode() + b"\n")
                out = b""
                while chunk := s.recv(65536):
                    out += chunk
                return out.decode()
        except OSError:
            return ""

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def target(self):
        """What serin.yaml says of it as an edge."""
        folder = os.path.dirname(self.path)
        return f"{{kind: haproxy, socket: {self.socket}, map: {folder}/split.map}}"

    def weight(self):
        """Of the canary in force, in basis points; None: it does not answer."""
        found = re.search(r'value="(\d+)"', self.ask(
            f"get map {os.path.dirname(self.path)}/split.map canary"))
        return int(found[1]) if found else None


def servers(folder, ports):
    """Two versions of the service; the canary's faults are entries of a map."""
    open(os.path.join(folder, "fault.map"), "w", encoding="utf-8").write("errors 0\ndelay 0\n")
    fault = os.path.join(folder, "fault.map")
    return Haproxy(folder, "servers", f"""\
global
  stats socket @SOCKET@ mode 600 level admin
defaults
  mode http
  timeout client 20s
  timeout server 20s
  timeout connect 2s
frontend baseline
  bind 127.0.0.1:{ports[0]}
  http-request return status 200 content-type text/plain string old
frontend canary
  bind 127.0.0.1:{ports[1]}
  timeout tarpit 60ms
  http-request tarpit deny_status 200 if {{ str(delay),map_str_int({fault},0) eq 1 }}
  http-request set-var(txn.errors) str(errors),map_str_int({fault},0)
  http-request set-var(txn.pick) rand(100)
  http-request return status 500 content-type text/plain string bad if {{ var(txn.pick),sub(txn.errors) lt 0 }}
  http-request return status 200 content-type text/plain string new
""")


def edge(folder, port, log, ports, name):
    """The proxy whose map serin moves. It boots with nothing for the canary."""
    split = os.path.join(folder, "split.map")
    open(split, "w", encoding="utf-8").write("canary 0\n")
    return Haproxy(folder, "edge", f"""\
global
  stats socket @SOCKET@ mode 600 level admin
  log 127.0.0.1:{log} format raw local0
defaults
  mode http
  log global
  log-format {json.dumps(LOG)}
  timeout client 20s
  timeout server 20s
  timeout connect 2s
frontend shop
  bind 127.0.0.1:{port}
  http-request set-var(txn.canary) str(canary),map_str_int({split},0)
  http-request set-var(txn.pick) rand(10000)
  use_backend {name}-canary if {{ var(txn.pick),sub(txn.canary) lt 0 }}
  default_backend {name}-baseline
backend {name}-baseline
  server s 127.0.0.1:{ports[0]}
backend {name}-canary
  server s 127.0.0.1:{ports[1]}
""")


class LogToKafka(threading.Thread):
    """Access-log lines as they come, one JSON record a request and metric."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.kcat = subprocess.Popen(["kcat", "-P", "-b", bootstrap, "-t", INPUT, "-X",
                                      "linger.ms=5"], stdin=subprocess.PIPE)
        self.hurt, self.first_bad, self.canary = 0, None, 0

    def run(self):
        while True:
            text = self.sock.recv(4096)
            try:
                line = json.loads(text[text.index(b"{"):])  # nginx' lines have a syslog head
            except ValueError:
                continue  # haproxy's own words
            line.setdefault("ms", round(1000 * line.get("s", 0)))
            now = time.time()
            canary = line["backend"].endswith("-canary")
            bad = line["status"] >= 500
            self.canary += canary
            if canary and (bad or line["ms"] >= 50):
                self.hurt += 1
                self.first_bad = self.first_bad or now
            head = {"t_ms": round(now * 1000), "attributes": {"backend": line["backend"]}}
            self.kcat.stdin.write(
                (json.dumps({**head, "metric": "errors", "n": 1, "bad": int(bad)}) + "\n" +
                 json.dumps({**head, "metric": "latency", "value": line["ms"] + 0.5}) + "\n"
                 ).encode())
            self.kcat.stdin.flush()


class Load(threading.Thread):
    """Requests at a steady rate over connections that stay open."""

    def __init__(self, port, rate=600, connections=16):
        super().__init__(daemon=True)
        self.port, self.gap, self.connections = port, connections / rate, connections
        self.stopping = threading.Event()

    async def one(self):
        rng = random.Random()
        while not self.stopping.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                while not self.stopping.is_set():
                    began = time.monotonic()
                    writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
                    head = await reader.readuntil(b"\r\n\r\n")
                    size = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                    await reader.readexactly(int(size[1]))
                    rest = self.gap * rng.uniform(0.8, 1.2) - (time.monotonic() - began)
                    await asyncio.sleep(max(0, rest))
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.05)

    async def all(self):
        await asyncio.gather(*(self.one() for _ in range(self.connections)))

    def run(self):
        asyncio.run(self.all())


class World:
    """Servers, edge, load, engine and actuator."""

    def __init__(self, program, folder, bootstrap, name, make_edge=edge):
        self.program, self.folder, self.name = program, folder, name
        self.log = LogToKafka(bootstrap)
        ports, port = (free_port(), free_port()), free_port()
        self.servers = servers(folder, ports)
        self.edge = make_edge(folder, port, self.log.port, ports, name)
        self.engine = live.Engine(program, folder, bootstrap, f"act.{name}.", f"""\
inputs: [{{topic: {INPUT}, start: latest}}]
instance: act
lateness: 500ms
actuate:
  lease: 6s
  check: 1s
  targets:
    edge: {self.edge.target()}
    spare: {{kind: exec, command: [/bin/echo, "{{weight_bp}}"]}}
""")
        self.config = os.path.join(folder, "serin.yaml")
        self.actuator = self.spare = None
        self.load = Load(port)
        self.seen = []  # (time, weight in force), as the proxy itself says

    def start(self):
        self.servers.start()
        self.edge.start()
        self.log.start()
        self.load.start()
        self.start_actuator()
        self.spare = self.actuate("--kind", "exec")

    def actuate(self, *more):
        return subprocess.Popen([self.program, "actuate", "-c", self.config, *more])

    def start_actuator(self):
        self.actuator = self.actuate("--kind", self.edge.kind)

    def stop_actuator(self):
        self.actuator.kill()
        self.actuator.wait()

    def weight(self):
        return self.edge.weight()

    def begin(self):
        self.engine("apply", "-", text=PLAN.format(id=self.name))
        live.wait_for("20 % in force", lambda: self.weight() == 2000)
        live.wait_for("traffic at the canary", lambda: self.log.canary > 100)
        live.wait_for("the acknowledgement", lambda: self.status()["state"] == "OBSERVING")

    def status(self):
        return json.loads(self.engine("status", self.name, "-o", "json").stdout)

    def fault(self, kind, value):
        live.check(self.servers.ask(f"set map {self.folder}/fault.map {kind} {value}").strip()
                   == "", f"the servers do not take {kind}")

    def stop(self):
        self.load.stopping.set()
        if self.actuator is not None:
            self.stop_actuator()
        if self.spare is not None:
            self.spare.kill()
            self.spare.wait()
        self.engine.kill()
        self.edge.stop()
        self.servers.stop()
        self.log.kcat.kill()


def turns_bad(world, kind, value):
    """Seconds from the first bad request to 0 %, and requests hurt."""
    world.begin()
    time.sleep(4)
    world.fault(kind, value)
    live.wait_for("the canary to be taken off", lambda: world.weight() == 0)
    gone = time.time()
    live.wait_for("the end", lambda: world.status()["state"] == "ABORTED")
    time.sleep(1)
    return gone - world.log.first_bad, world.log.hurt


def faults(world):
    """Whatever breaks, the canary gets no more than the last verdict gave it."""
    world.begin()
    world.edge.stop()
    live.wait_for("the engine to be told",
                  lambda: "actuator edge" in world.status()["message"])
    live.check(world.spare.poll() is None and world.status()["reason"] == "actuator",
               "the other target speaks for this one")
    world.edge.start()
    live.wait_for("the restarted proxy to be set again", lambda: world.weight() == 2000)
    live.wait_for("RESUME", lambda: world.status()["state"] == "OBSERVING")
    world.stop_actuator()
    world.start_actuator()
    time.sleep(3)
    live.check(world.weight() == 2000, "a restarted actuator changes nothing")
    world.engine("set-weight", world.name, "5%", "--reason", "less")
    live.wait_for("5 % in force", lambda: world.weight() == 500)
    world.edge.ask(f"set map {world.folder}/split.map canary 9000")
    live.wait_for("somebody's 90 % to be taken back", lambda: world.weight() == 500)
    world.engine.kill()
    killed = time.time()
    live.wait_for("the lease to run out", lambda: world.weight() == 0)
    lease = time.time() - killed
    world.engine.start()
    live.wait_for("it to know of 0 %", lambda: world.status()["reason"] in ("actuator", "operator"))
    time.sleep(4)
    live.check(world.weight() == 0, "an old verdict raised the weight again")
    world.engine("abort", world.name, "--reason", "enough")
    live.wait_for("the end", lambda: world.status()["state"] == "ABORTED")
    live.check(world.weight() == 0, "not 0 % after the abort")
    return lease


def main():
    program, bootstrap, what = sys.argv[1], os.environ["SERIN_TEST_BOOTSTRAP"], sys.argv[2]
    live.check(shutil.which("haproxy", path="/usr/sbin:/usr/bin") is not None,
               "haproxy is not installed")
    live.create_topic(bootstrap, INPUT)
    with tempfile.TemporaryDirectory(prefix="serin-act-") as folder:
        world = World(program, folder, bootstrap, what)
        try:
            world.start()
            if what == "faults":
                print(f"killed engine: 0 % after {faults(world):.1f} s (lease 6 s)")
            else:
                value = {"errors": "30", "delay": "1"}[what]
                seconds, hurt = turns_bad(world, what, value)
                print(f"{what}: first bad request to 0 %: {seconds:.2f} s, {hurt} requests hurt")
        finally:
            world.stop()


if __name__ == "__main__":
    main()
