#!/usr/bin/env python3
"""Driver nginx on a real nginx: shares as the users see them, nested as they grow, reloads that
are seen, refused configurations taken back, and whatever else is in the way told."""
import http.client
import math
import os
import signal
import subprocess
import sys
import tempfile

from driver import Driver, check, live, refuses

NGINX = "/usr/sbin/nginx"
USERS = 4000
CONFIG = """\
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
daemon off;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
    fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    keepalive_requests 1000000;
    {include}
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 $serin_pool; }}
    }}
}}
"""
BOOT = 'split_clients "$arg_user" $serin_pool {\n    * "baseline";\n}\n'


class Nginx:
    def __init__(self, folder):
        self.folder, self.port = folder, live.free_port()
        self.include, self.config = folder + "/split.conf", folder + "/nginx.conf"
        self.write(self.include, BOOT)
        self.configure(f"include {self.include};")
        self.process = None

    @staticmethod
    def write(path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def configure(self, include):
        self.write(self.config, CONFIG.format(folder=self.folder, port=self.port,
                                              include=include))

    def start(self):
        self.process = subprocess.Popen([NGINX, "-c", self.config, "-e",
                                         self.folder + "/error.log"])
        live.wait_for("nginx", lambda: os.path.exists(self.folder + "/nginx.pid") and
                      self.users(1) is not None)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def users(self, n):
        """Which of n users get the canary."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            canary = set()
            for i in range(n):
                connection.request("GET", f"/?user=u{i}")
                if connection.getresponse().read() == b"canary":
                    canary.add(i)
            connection.close()
            return canary
        except OSError:
            return None


def grows(driver, nginx):
    inside, shares = set(), []
    for bp in (0, 1, 50, 500, 2500, 10000):
        driver.moves(bp)
        now = nginx.users(USERS)
        p = bp / 10000
        room = 5 * math.sqrt(USERS * p * (1 - p)) + 1 if 0 < p < 1 else 0
        check(abs(len(now) - USERS * p) <= room, f"{len(now)} of {USERS} users at {p:.2%}")
        check(inside <= now, f"{len(inside - now)} users left the canary at {bp} bp")
        inside = now
        shares.append(f"{p:.2%}: {len(now) / USERS:.2%}")
    driver.moves(0)
    check(nginx.users(USERS) == set(), "somebody is left at 0 %")
    print("shares", ", ".join(shares))


def faults(driver, nginx, settings):
    driver.moves(500)
    before = open(nginx.include, encoding="utf-8").read()
    # A configuration that nginx refuses, for whatever reason, is taken back.
    nginx.configure(f"include {nginx.include}; nonsense;")
    driver.fails(("apply", 900, "shop/3"), "refuses its configuration", "nonsense")
    check(open(nginx.include, encoding="utf-8").read() == before, "the old file is not back")
    nginx.configure(BOOT.replace("\n", " "))
    driver.fails(("apply", 900, "shop/3"), f"include {nginx.include};")
    check(open(nginx.include, encoding="utf-8").read() == before, "the old file is not back")
    nginx.configure(f"include {nginx.include};")
    check(driver("read", 500)["weight_bp"] != 900, "what was refused is told as applied")
    driver.moves(500)
    # Written, but nginx was not told: its workers are older than the file.
    text = open(nginx.include, encoding="utf-8").read()
    live.time.sleep(0.3)
    nginx.write(nginx.include, text.replace(" 5.00%", " 90.00%"))
    driver.fails(("read", 500), "not reloaded")
    nginx.process.send_signal(signal.SIGHUP)
    live.wait_for("the reload", lambda: driver("read", 500)["weight_bp"] == 9000)
    for other in (BOOT, "", text.replace("canary", "other"), text + "# more\n"):
        nginx.write(nginx.include, other)
        driver.fails(("read", 500), "not as serin writes it")
    driver.moves(500)
    os.remove(nginx.include)
    driver.fails(("read", 500), "no such file")
    driver.moves(500)
    nginx.stop()
    driver.fails(("read", 500), "nginx is not running", "nginx.pid")
    driver.fails(("apply", 500, "shop/3"), "nginx is not running")
    nginx.start()
    check(driver("read", 500)["weight_bp"] == 500, "a restarted nginx has the last file")
    # A reload that does nothing is no reload.
    lazy = Driver(sys.argv[1], settings | {"reload": ["/bin/true"]})
    lazy.fails(("apply", 800, "shop/3"), "keeps its workers")
    lazy.close()
    sad = Driver(sys.argv[1], settings | {"reload": ["/bin/false"]})
    sad.fails(("apply", 800, "shop/3"), "/bin/false", "exit code 1")
    sad.close()
    own = Driver(sys.argv[1], settings | {"reload": [NGINX, "-s", "reload", "-c", nginx.config]})
    own.moves(800)
    own.close()


def main():
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="serin-nginx-") as folder:
        nginx = Nginx(folder)
        settings = {"kind": "nginx", "include": nginx.include, "key": "$arg_user",
                    "config": nginx.config, "pid_file": folder + "/nginx.pid"}
        nginx.start()
        try:
            driver = Driver(tool, settings)
            driver.fails(("read", 0), "not as serin writes it")
            grows(driver, nginx)
            told = driver("describe", 5, "shop/3")["text"]
            check('0.05% "canary"' in told, told)
            faults(driver, nginx, settings)
            driver.close()
        finally:
            nginx.stop()
        refuses(tool, settings | {"key": '$a" x { * y; } #'}, "quotes")
        refuses(tool, settings | {"include": "split.conf"}, "absolute")
        refuses(tool, settings | {"variable": "$pool"}, "without the $")
        refuses(tool, settings | {"canary": "baseline"}, "are both")
        refuses(tool, {"kind": "nginx"}, "include")
    print("nginx: nested shares, checked, reloaded, read back")


main()
