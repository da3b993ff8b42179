#!/usr/bin/env python3
"""The configurations in deploy/ on the real proxies: they boot with nothing for the canary, take
what the drivers set, and are back at nothing after a restart."""
import os
import subprocess
import sys
import tempfile

from driver import Driver, check, live

DEPLOY = os.path.join(live.ROOT, "deploy")


def example(folder, name, replaced=()):
    """A copy of deploy/NAME with other paths and ports; every one has to occur."""
    with open(os.path.join(DEPLOY, name), encoding="utf-8") as file:
        text = file.read()
    for old, new in dict(replaced).items():
        check(old in text, f"deploy/{name} holds no {old}")
        text = text.replace(old, new)
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def haproxy(tool, folder):
    split, socket = folder + "/split.map", folder + "/admin.sock"
    with open(split, "w", encoding="utf-8") as file:
        file.write("canary 0\n")
    config = example(folder, "haproxy.cfg", {
        "/etc/haproxy/split.map": split, "/run/haproxy/admin.sock": socket,
        ":8080": f"127.0.0.1:{live.free_port()}", "/dev/log": folder + "/log"})
    driver = Driver(tool, {"kind": "haproxy", "socket": socket, "map": split})
    for _ in range(2):
        process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", config])
        live.wait_for("haproxy", lambda: driver("read", 0)["ok"])
        check(driver("read", 0)["weight_bp"] == 0, "haproxy does not boot at 0 %")
        driver.moves(5)
        process.terminate()
        process.wait(20)
    driver.close()


def nginx(tool, folder):
    include, pid = folder + "/serin.conf", folder + "/pid"
    user = "user www-data;"
    config = example(folder, "nginx.conf", {
        "/etc/nginx/serin.conf": include, "/run/nginx.pid": pid, "/var/log/nginx": folder,
        "listen 8080": f"listen 127.0.0.1:{live.free_port()}", user: "daemon off;"})
    boot = example(folder, "nginx-serin-boot.conf")
    driver = Driver(tool, {"kind": "nginx", "include": include, "config": config,
                           "pid_file": pid})
    for _ in range(2):
        os.replace(boot, include)
        process = subprocess.Popen(["/usr/sbin/nginx", "-c", config, "-e", folder + "/error.log"])
        live.wait_for("nginx", lambda: driver("read", 0)["ok"])
        check(driver("read", 0)["weight_bp"] == 0, "nginx does not boot at 0 %")
        driver.moves(5)
        process.terminate()
        process.wait(20)
        boot = example(folder, "nginx-serin-boot.conf")
    driver.close()


def main():
    with tempfile.TemporaryDirectory(prefix="serin-examples-") as folder:
        haproxy(sys.argv[1], folder)
        nginx(sys.argv[1], folder)
    print("deploy/haproxy.cfg, deploy/nginx.conf: boot at 0 %, move, boot at 0 %")


main()
