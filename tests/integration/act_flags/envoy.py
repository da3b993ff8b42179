#!/usr/bin/env python3
"""Driver envoy against a simulated admin interface: /runtime and /runtime_modify as Envoy
documents them."""
import json
import sys
import urllib.parse

from driver import Driver, Server, check, refuses


class Admin:
    def __init__(self):
        self.values, self.layer = {}, True

    def answer(self, method, path, _headers, body):
        url = urllib.parse.urlsplit(path)
        if url.path == "/runtime_modify":
            if method != "POST" or body:
                return 405, "Method Not Allowed"
            if not self.layer:
                return 503, "No admin layer specified"
            query = urllib.parse.parse_qs(url.query, strict_parsing=True)
            for key, values in query.items():
                self.values[key] = values[0]
            return 200, "OK\n"
        if url.path == "/runtime" and url.query == "format=json":
            return 200, json.dumps({"layers": ["static", "admin"], "entries": {
                key: {"final_value": value, "layer_values": ["", value]}
                for key, value in self.values.items()}})
        return 404, ""


def share(bp):
    return f'{{"numerator":{bp},"denominator":"TEN_THOUSAND"}}'


def main():
    tool, admin = sys.argv[1], Admin()
    server = Server(admin.answer)
    settings = {"kind": "envoy", "admin": server.url + "/", "key": "shop.canary"}
    driver = Driver(tool, settings)
    check(driver("read", 0)["weight_bp"] == 0, "a key that was never set is the boot state")
    for bp in (0, 1, 5, 500, 9999, 10000):
        driver.moves(bp)
        check(admin.values["shop.canary"] == share(bp), admin.values)
    told = driver("describe", 500, "r/1")["text"]
    check("/runtime_modify?shop.canary=" in told and "500" in told, "dry run")
    # What somebody else may have set, as a real Envoy takes it: a plain number is a percentage.
    for value, bp in (("5", 500), ("0", 0), ("100", 10000), ("500", 10000),
                      ('{"numerator":1,"denominator":"MILLION"}', 1),
                      ('{"numerator":7}', 700)):
        admin.values["shop.canary"] = value
        check(driver("read", 0)["weight_bp"] == bp, (value, bp))
    driver.fails(("apply", 0, "shop/3", "copy=3000"), "mirror_key")
    check(driver("mirror", 0)["weight_bp"] == 0, "without a key nothing is copied")
    other = Driver(tool, settings | {"mirror_key": "shop.copy"})
    for bp in (3000, 1, 0):
        other.copies(bp)
        check(admin.values["shop.copy"] == share(bp), admin.values)
    other.moves(500)
    check(admin.values["shop.copy"] == share(0), "a weight ends the copies")
    other.close()
    for what, parts in (((500, "broken"), ("500", "broken")), ((404, ""), ("404",)),
                        ("drop", ()), ("junk", ())):
        for words in (("apply", 500, "shop/3"), ("read", 500)):
            server.next.append(what)
            driver.fails(words, server.url, *parts)
    server.next.append("hang")
    driver.fails(("read", 500), "no answer within")
    for text in ("", "{}", "[]", '{"entries":{"shop.canary":{"final_value":"x"}}}',
                 '{"entries":{"shop.canary":{"final_value":"-1"}}}',
                 '{"entries":{"shop.canary":{"final_value":"{\\"numerator\\":1,'
                 '\\"denominator\\":\\"TEN\\"}"}}}',
                 '{"entries":{"shop.canary":{}}}'):
        server.next.append((200, text))
        driver.fails(("read", 500), "envoy at")
    admin.layer = False
    driver.fails(("apply", 500, "shop/3"), "admin_layer", "bootstrap")
    admin.layer = True
    driver.moves(700)
    admin.values["shop.canary"] = share(900)
    check(driver("read", 700)["weight_bp"] == 900, "somebody's change is not seen")
    admin.values.clear()
    check(driver("read", 700)["weight_bp"] == 0, "a restarted Envoy serves nobody")
    server.stop()
    driver.fails(("apply", 500, "shop/4"), server.url)
    driver.close()
    refuses(tool, settings | {"key": "a&b=10000"}, "key")
    refuses(tool, settings | {"mirror_key": "a&b=10000"}, "key")
    refuses(tool, settings | {"admin": "127.0.0.1:9901"}, "http://")
    print("envoy: runtime key, copies, faults")


main()
