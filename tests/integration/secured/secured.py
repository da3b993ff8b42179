#!/usr/bin/env python3
"""A broker that lets in only who logs in over TLS, and only to what its ACLs grant.

secured.py SERIN KAFKA.SH: with the permissions that engine/bus/README.md lists a rollout gets
its verdict; with a wrong password, another CA, or one permission less, the engine says which.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from live import Engine, check, connected, create_topic, free_port, wait_for  # noqa: E402

PREFIX, PASSWORD = "safe.", "open sesame"
# What the log says without one of the permissions; the short form tries only QUICK.
REFUSED = {("topic", "metrics"): r"metrics\[0\].*Topic authorization failed",
           ("topic", PREFIX): "safe.inbox: Authorization failed.*CREATE right",
           ("group", PREFIX): "consumer of safe.decide: .*Group authorization failed",
           ("transactional-id", PREFIX): "Transactional Id authorization failed"}
QUICK = ("metrics",)
TOPICS = f"topics: {{prefix: {PREFIX}, partitions: 2}}\ninputs: [{{topic: metrics}}]\n"
PLAN = """id: shop-2
cohorts: {canary: {v: "2"}, baseline: {v: "1"}}
calibrate: skip
steps: [{weight: 50%, worse_than: 4, bake: 1s}, {weight: 100%}]
metrics: [{name: errors, phi: 1}]
"""


def certificate(folder, name, signer=None):
    at = os.path.join(folder, name)
    ca = ["-CA", f"{signer}.crt", "-CAkey", f"{signer}.key"] if signer else []
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout",
                    f"{at}.key", "-out", f"{at}.crt", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=IP:127.0.0.1", *ca],
                   check=True, capture_output=True)
    return at


class Broker:
    """One broker: plain for who sets it up, SASL_SSL with SCRAM for everybody else."""

    def __init__(self, script, folder, server, port):
        self.script, self.port, self.folder = script, port, os.path.join(folder, "kafka")
        self.secured = f"127.0.0.1:{free_port()}"
        store = os.path.join(folder, "store.pem")
        with open(store, "w", encoding="utf-8") as out:
            for part in (f"{server}.key", f"{server}.crt"):
                with open(part, encoding="utf-8") as file:
                    out.write(file.read())
        open_to_us = f"PLAINTEXT://127.0.0.1:{port}"
        settings = {
            "listeners": f"{open_to_us},CONTROLLER://127.0.0.1:{port + 10},"
                         f"SASL_SSL://{self.secured}",
            "advertised.listeners": f"{open_to_us},SASL_SSL://{self.secured}",
            "listener.security.protocol.map":
                "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": store,
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "authorizer.class.name":
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        self.run("start", "--port", str(port),
                 *(word for pair in settings.items() for word in ("--set", "=".join(pair))))

    def run(self, verb, *arguments):
        subprocess.run([self.script, verb, "--dir", self.folder, *arguments], check=True,
                       stdout=subprocess.DEVNULL)

    def tool(self, name, *arguments):
        version = re.search(r"SERIN_KAFKA_VERSION:-([\d.]+)", open(self.script,
                            encoding="utf-8").read())[1]
        cache = os.environ.get("SERIN_KAFKA_CACHE", os.path.expanduser("~/.cache/serin/kafka"))
        version = os.environ.get("SERIN_KAFKA_VERSION", version)
        subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-cp", f"{cache}/{version}/*",
                        f"kafka.admin.{name}", "--bootstrap-server", f"127.0.0.1:{self.port}",
                        *arguments], check=True, capture_output=True)

    def permit(self, change, kind, name, *operations):
        pattern = "prefixed" if name.endswith(".") else "literal"
        self.tool("AclCommand", change, "--force", "--allow-principal", "User:serin",
                  f"--{kind}", name, "--resource-pattern-type", pattern,
                  *(word for o in operations for word in ("--operation", o)))


def permissions():
    """The table of engine/bus/README.md: [kind, name, operations]."""
    with open(os.path.join(ROOT, "engine", "bus", "README.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| (topic|group|transactional-id) `([^`]+)` \| ([\w, ]+) \|",
                          file.read(), re.MULTILINE)
    check(len(rows) >= 4, f"the README's table of permissions: {rows}")
    return [(kind, name.replace("serin.", PREFIX).replace("INPUT", "metrics"),
             operations.split(", ")) for kind, name, operations in rows]


def config(broker, ca, password=PASSWORD):
    return (f'kafka: {{bootstrap.servers: "{broker.secured}", security.protocol: SASL_SSL, '
            f'sasl.mechanisms: SCRAM-SHA-512, sasl.username: serin, '
            f'sasl.password: "{password}", ssl.ca.location: "{ca}.crt"}}\n')


def says(serin, folder, kafka, *expected):
    """The log of an engine has all of this, and no password."""
    path = os.path.join(folder, "bad.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'{kafka}{TOPICS}http: {{listen: "unix:{folder}/bad.sock"}}\n')
    log = os.path.join(folder, "bad.log")
    with open(log, "w", encoding="utf-8") as out:
        process = subprocess.Popen([serin, "run", "--config", path], stderr=out,
                                   stdout=subprocess.DEVNULL)

    def said():
        with open(log, encoding="utf-8") as file:
            text = file.read()
        return all(re.search(part, text) for part in expected) and text

    try:
        text = wait_for(f"the log to say {expected}", said, 60)
        check(PASSWORD not in text and "a wrong one" not in text, f"a password: {text}")
    finally:
        process.kill()
        process.wait()


def judged(serin, folder, broker, ca):
    """A verdict, from a producer that logs in, too."""
    kafka = config(broker, ca)
    engine = Engine(serin, folder, broker.secured, PREFIX,
                    "inputs: [{topic: metrics, format: json}]\n", kafka=kafka)
    try:
        engine("apply", "-", text=PLAN)
        feed = os.path.join(folder, "kcat.conf")
        with open(feed, "w", encoding="utf-8") as file:
            file.write(f"security.protocol=SASL_SSL\nsasl.mechanisms=SCRAM-SHA-512\n"
                       f"sasl.username=serin\nsasl.password={PASSWORD}\n"
                       f"ssl.ca.location={ca}.crt\n")

        def promoted():
            now = int(time.time() * 1000)
            lines = "\n".join(json.dumps({"t_ms": now, "attributes": {"v": v}, "n": 1000,
                                          "metric": "errors", "bad": 20}) for v in "12")
            subprocess.run(["kcat", "-P", "-F", feed, "-b", broker.secured, "-t", "metrics"],
                           input=lines, text=True, check=True, capture_output=True)
            time.sleep(0.3)
            return engine.weight_bp("shop-2")[0] == 5000 and \
                engine.metric("serin_ingest_routed_total")
        wait_for("the first weight, and samples", promoted, 60)
        engine.stop()
    finally:
        engine.kill()


def main():
    serin, script = map(os.path.abspath, sys.argv[1:3])
    with tempfile.TemporaryDirectory(prefix="serin-secured-") as folder:
        ca, other = certificate(folder, "ca"), certificate(folder, "other")
        broker = Broker(script, folder, certificate(folder, "server", ca), free_port())
        try:
            broker.tool("ConfigCommand", "--alter", "--entity-type", "users", "--entity-name",
                        "serin", "--add-config", f"SCRAM-SHA-512=[password={PASSWORD}]")
            made = os.path.join(folder, "topics.yaml")
            with open(made, "w", encoding="utf-8") as file:
                file.write(f"{connected(f'127.0.0.1:{broker.port}')}\n{TOPICS}")
            subprocess.run([serin, "topics", "create", "--config", made], check=True)
            create_topic(f"127.0.0.1:{broker.port}", "metrics")
            for kind, name, operations in permissions():
                broker.permit("--add", kind, name, *operations)
            broker.permit("--add", "topic", "metrics", "Write")  # the producer of the test
            judged(serin, folder, broker, ca)
            says(serin, folder, config(broker, ca, "a wrong one"), "uthentication")
            says(serin, folder, config(broker, other), "certificate")
            for kind, name, operations in permissions():
                if name in QUICK or os.environ.get("SERIN_LONG"):
                    broker.permit("--remove", kind, name, *operations)
                    says(serin, folder, config(broker, ca), REFUSED[kind, name])
                    broker.permit("--add", kind, name, *operations)
        finally:
            broker.run("stop")
    print("secured: as permitted")


if __name__ == "__main__":
    main()
