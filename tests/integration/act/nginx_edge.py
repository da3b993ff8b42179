#!/usr/bin/env python3
"""The loop closed on nginx: as proxy.py, with a split_clients file and reloads at the edge.

The canary turns bad; then nginx is restarted, and the engine killed, and never does the canary
get more than the last verdict gave it, as nginx' own log counts.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

import proxy
from proxy import live

NGINX = "/usr/sbin/nginx"


class Nginx:
    """An edge that boots with nothing for the canary."""
    kind = "nginx"

    def __init__(self, folder, port, log, ports, name):
        self.folder, self.name, self.process = folder, name, None
        self.include, self.config = folder + "/split.conf", folder + "/nginx.conf"
        self.pid_file = folder + "/nginx.pid"
        with open(self.include, "w", encoding="utf-8") as file:
            file.write(f'split_clients "$request_id" $serin_pool {{ * "{name}-baseline"; }}\n')
        temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                             ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"""\
worker_processes 2;
daemon off;
pid {self.pid_file};
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    {temporary}
    keepalive_requests 1000000;
    include {self.include};
    upstream {name}-baseline {{ server 127.0.0.1:{ports[0]}; keepalive 16; }}
    upstream {name}-canary {{ server 127.0.0.1:{ports[1]}; keepalive 16; }}
    log_format line escape=json
        '{{"backend":"$serin_pool","status":$status,"s":$request_time}}';
    access_log syslog:server=127.0.0.1:{log},nohostname line;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://$serin_pool;
        }}
    }}
}}
""")

    def start(self):
        self.process = subprocess.Popen([NGINX, "-c", self.config, "-e",
                                         self.folder + "/error.log"])
        live.wait_for("nginx", lambda: os.path.exists(self.pid_file))

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def target(self):
        return (f"{{kind: nginx, include: {self.include}, config: {self.config}, "
                f"pid_file: {self.pid_file}, canary: {self.name}-canary, "
                f"baseline: {self.name}-baseline}}")

    def weight(self):
        """What its configuration says; the log below says what it does."""
        with open(self.include, encoding="utf-8") as file:
            text = file.read()
        share = re.search(r"\s(\d+)\.(\d\d)%", text)
        if share:
            return int(share[1]) * 100 + int(share[2])
        return 10000 if f'* "{self.name}-canary"' in text else 0


def nothing_more(world):
    """The log says that nobody gets the canary, once the old workers have ended."""
    time.sleep(1)
    before = world.log.canary
    time.sleep(1.5)
    live.check(world.log.canary == before, f"{world.log.canary - before} more for the canary")


def faults(world):
    world.begin()
    world.edge.stop()
    live.wait_for("the engine to be told", lambda: world.status()["reason"] == "actuator")
    world.edge.start()
    live.wait_for("RESUME", lambda: world.status()["state"] == "OBSERVING")
    world.engine("set-weight", world.name, "0.05%", "--reason", "less")
    live.wait_for("0.05 % in force", lambda: world.weight() == 5)
    world.engine.kill()
    killed = time.time()
    live.wait_for("the lease to run out", lambda: world.weight() == 0)
    print(f"killed engine: 0 % after {time.time() - killed:.1f} s (lease 6 s)")
    nothing_more(world)


def main():
    program, bootstrap, what = sys.argv[1], os.environ["SERIN_TEST_BOOTSTRAP"], sys.argv[2]
    live.create_topic(bootstrap, proxy.INPUT)
    with tempfile.TemporaryDirectory(prefix="serin-act-nginx-") as folder:
        world = proxy.World(program, folder, bootstrap, f"nginx-{what}", Nginx)
        try:
            world.start()
            if what == "faults":
                faults(world)
            else:
                seconds, hurt = proxy.turns_bad(world, "errors", "30")
                print(f"nginx: first bad request to 0 %: {seconds:.2f} s, {hurt} requests hurt")
                nothing_more(world)
        finally:
            world.stop()


main()
