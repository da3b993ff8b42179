#!/usr/bin/env python3
"""Driver gateway against a simulated API server that enforces resourceVersion, applies JSON
Patch (RFC 6902) with its tests, and validates what comes out; and a controller that observes."""
import copy
import json
import os
import subprocess
import sys
import tempfile

from driver import Driver, Server, check, refuses

PATH = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/front"


def ref(name, weight=None):
    out = {"name": name, "port": 8080, "kind": "Service"}
    return out if weight is None else out | {"weight": weight}


class Refused(Exception):
    pass


def pointer(root, path):
    """The container and last step of a JSON pointer."""
    steps = path.split("/")[1:]
    for step in steps[:-1]:
        root = root[int(step)] if isinstance(root, list) else root[step]
    return root, int(steps[-1]) if isinstance(root, list) else steps[-1]


def patched(route, operations):
    route = copy.deepcopy(route)
    for one in operations:
        at, last = pointer(route, one["path"])
        if one["op"] == "test":
            if at[last] != one["value"]:
                raise Refused(f"test of {one['path']}")
        elif one["op"] in ("add", "replace"):
            at[last] = one["value"]
        elif one["op"] == "remove":
            del at[last]
        else:
            raise Refused(f"op {one['op']}")
    return route


class Api:
    def __init__(self):
        self.rivals = 0  # so many times somebody is faster
        self.patches, self.observes, self.accepted = [], True, "True"
        self.route = {
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "front", "namespace": "shop", "resourceVersion": "41",
                         "generation": 3, "annotations": {"a": "b"}},
            "spec": {"rules": [
                {"backendRefs": [ref("other"), ref("shop-old"), ref("shop-new", 0)]},
                {"backendRefs": [ref("static")]},
                {"backendRefs": [ref("shop-new", 0), ref("shop-old", 1)]}]}}

    def change(self, route):
        version = int(self.route["metadata"]["resourceVersion"]) + 1
        if route["spec"] != self.route["spec"]:
            route["metadata"]["generation"] = self.route["metadata"]["generation"] + 1
        route["metadata"]["resourceVersion"] = str(version)
        self.route = route
        if self.observes:
            self.report()

    def report(self):
        self.route["status"] = {"parents": [{"conditions": [
            {"type": "ResolvedRefs", "status": "True", "observedGeneration": 1},
            {"type": "Accepted", "status": self.accepted, "message": "no listener matches",
             "observedGeneration": self.route["metadata"]["generation"]}]}]}

    def answer(self, method, path, headers, body):
        if headers.get("Authorization") != "Bearer kube":
            return 401, '{"kind":"Status","message":"Unauthorized"}'
        if path != PATH:
            return 404, '{"kind":"Status","reason":"NotFound"}'
        if method == "GET":
            return 200, json.dumps(self.route)
        if method != "PATCH" or headers.get("Content-Type") != "application/json-patch+json":
            return 415, "unsupported"
        if self.rivals > 0:
            self.rivals -= 1
            rival = copy.deepcopy(self.route)
            rival["metadata"]["annotations"]["a"] += "x"
            self.change(rival)
        operations = json.loads(body)
        check(operations[0]["path"] == "/metadata/resourceVersion" and
              operations[0]["op"] == "test", operations)
        try:
            route = patched(self.route, operations)
        except (Refused, KeyError, IndexError) as error:
            return 422, json.dumps({"kind": "Status", "reason": "Invalid", "message": str(error)})
        for rule in route["spec"]["rules"]:
            for one in rule["backendRefs"]:
                weight = one.get("weight", 1)
                if not (isinstance(weight, int) and 0 <= weight <= 1000000):
                    return 422, "weight"
        self.patches.append(operations)
        self.change(route)
        return 200, json.dumps(self.route)

    def weights(self):
        return [[one.get("weight") for one in rule["backendRefs"]]
                for rule in self.route["spec"]["rules"]]


def copies(driver, api):
    """RequestMirror filters, of the experimental percent or the fraction."""
    rules = api.route["spec"]["rules"]
    driver.fails(("apply", 0, "shop/3", "copy=3000"), "RequestMirror", "percent 0")
    check(driver("mirror", 0)["weight_bp"] == 0, "no filter copies nothing")
    to = {"name": "shop-new", "port": 8080}
    rules[0]["filters"] = [
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {}},
        {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "audit"}}},
        {"type": "RequestMirror", "requestMirror": {"backendRef": to, "percent": 20}}]
    rules[2]["filters"] = [{"type": "RequestMirror", "requestMirror": {
        "backendRef": to, "fraction": {"numerator": 1, "denominator": 3}}}]
    check(driver("mirror", 0)["weight_bp"] == 3334, "the highest is told, rounded up")
    for bp in (3000, 1, 10000, 0):
        driver.copies(bp)
        filters = api.route["spec"]["rules"][0]["filters"]
        check(filters[2]["requestMirror"] == {
            "backendRef": to, "fraction": {"numerator": bp, "denominator": 10000}}, filters)
        check(filters[1]["requestMirror"] == {"backendRef": {"name": "audit"}}, filters)
    del api.route["spec"]["rules"][2]["filters"][0]["requestMirror"]["fraction"]
    check(driver("mirror", 0)["weight_bp"] == 10000, "a filter without a share copies all")
    driver.copies(500)
    for rule in api.route["spec"]["rules"]:
        rule.pop("filters", None)


def over_tls(tool, settings, folder, api):
    """Only a server whose certificate the given authority signed is told the token."""
    cert, key = folder + "/cert.pem", folder + "/key.pem"
    for one, name in ((cert, key), (folder + "/other.pem", folder + "/other.key")):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=api",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-out", one, "-keyout", name],
                       check=True, capture_output=True)
    server = Server(api.answer, (cert, key))
    good = Driver(tool, settings | {"server": server.url, "ca_file": cert})
    good.moves(321)
    good.close()
    seen = len(server.seen)
    bad = Driver(tool, settings | {"server": server.url, "ca_file": folder + "/other.pem"})
    bad.fails(("apply", 500, "shop/3"), "certificate")
    bad.close()
    check(len(server.seen) == seen, "a server that nobody vouches for was told the token")
    server.stop()


def main():
    tool, api = sys.argv[1], Api()
    server = Server(api.answer)
    with tempfile.TemporaryDirectory(prefix="serin-gateway-") as folder:
        token = os.path.join(folder, "token")
        open(token, "w", encoding="utf-8").write("kube\n")
        settings = {"kind": "gateway", "server": server.url, "token_file": token,
                    "namespace": "shop", "route": "front", "canary": "shop-new",
                    "baseline": "shop-old"}
        driver = Driver(tool, settings)
        check(driver("read", 0)["weight_bp"] == 0, "the boot state is not 0 %")
        for bp in (1, 500, 9999, 10000, 0):
            driver.moves(bp)
            check(api.weights() == [[None, 10000 - bp, bp], [None], [bp, 10000 - bp]],
                  api.weights())
        check(api.route["metadata"]["annotations"] == {"a": "b"}, "more was changed")
        copies(driver, api)
        api.rivals = 2
        driver.moves(600)
        check(api.route["metadata"]["annotations"] == {"a": "bxx"}, "a rival's change went lost")
        api.rivals = 100
        driver.fails(("apply", 700, "shop/3"), "422")
        api.rivals = 0
        check(api.weights()[2] == [600, 9400], "changed without the right resourceVersion")
        # The lists were put in another order between the look and the patch.
        api.route["spec"]["rules"][0]["backendRefs"].reverse()
        driver.moves(800)
        check(api.weights()[0] == [800, 9200, None], api.weights())
        api.route["spec"]["rules"][2]["backendRefs"][0]["weight"] = 5000
        check(driver("read", 800)["weight_bp"] == 3522, "rules that differ: the highest is told")
        driver.moves(800)
        for weights, what in (((0, 0), "both weights"), ((-1, 5), "both weights")):
            for one, weight in zip(api.route["spec"]["rules"][2]["backendRefs"], weights):
                one["weight"] = weight
            driver.fails(("read", 800), what)
        api.observes = False
        driver("apply", 900, "shop/3")
        driver.fails(("read", 900), "no gateway has observed")
        api.observes, api.accepted = True, "False"
        api.report()
        driver.fails(("read", 900), "not accepted", "no listener")
        api.accepted = "True"
        api.report()
        for what, parts in (((500, "etcd"), ("500", "etcd")), ((403, ""), ("get and patch",)),
                            ((404, ""), ("no HTTPRoute",)), ("drop", ()), ("junk", ()),
                            ((200, "<html>"), ("resourceVersion",)), ((200, "{}"), ())):
            for words in (("apply", 500, "shop/3"), ("read", 500)):
                server.next.append(what)
                driver.fails(words, *parts)
        server.next.append("hang")
        driver.fails(("read", 500), "no answer within")
        open(token, "w", encoding="utf-8").write("stale\n")
        driver.fails(("apply", 500, "shop/3"), "not allowed", token)
        open(token, "w", encoding="utf-8").write("kube\n")
        driver.moves(500)  # the token is read anew
        told = driver("describe", 500, "shop/3")["text"]
        check("shop/front" in told and "500 for shop-new" in told, told)
        over_tls(tool, settings, folder, api)
        none = Driver(tool, settings | {"canary": "nobody"})
        none.fails(("apply", 500, "shop/3"), "add both")
        none.fails(("read", 500), "add both")
        none.close()
        server.stop()
        driver.fails(("apply", 500, "shop/4"), server.url)
        driver.close()
        refuses(tool, settings | {"baseline": "shop-new"}, "both")
        refuses(tool, settings | {"route": "../secrets"}, "route")
        refuses(tool, {"kind": "gateway"}, "route", "canary", "baseline")
    print(f"gateway: {len(api.patches)} patches, conflicts, faults")


main()
