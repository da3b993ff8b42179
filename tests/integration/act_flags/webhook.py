#!/usr/bin/env python3
"""Driver webhook against a receiver that checks the signature, and that fails in every way."""
import hashlib
import hmac
import json
import os
import sys
import tempfile

from driver import Driver, Server, check, refuses

SECRET = "a-shared-secret"


class Receiver:
    def __init__(self):
        self.newest, self.weight, self.wrong, self.copied = -1, 0, None, None

    def answer(self, method, path, headers, body):
        if headers.get("Authorization") != "Bearer tok":
            return 401, "no token"
        if method == "POST":
            good = hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).hexdigest()
            if headers.get("X-Serin-Signature") != f"sha256={good}":
                return 403, "bad signature"
            order = json.loads(body)
            check(headers["Idempotency-Key"] ==
                  f"{order['verdict_id']}:{order['weight_bp']}", headers)
            number = int(order["verdict_id"].rsplit("/", 1)[1])
            if number >= self.newest:
                self.newest, self.weight = number, order["weight_bp"]
            self.last = order
        weight = self.weight if self.wrong is None else self.wrong
        told = {"weight_bp": weight}
        if self.copied is not None:
            told["mirror_bp"] = self.last["mirror_bp"] if self.copied else "all"
        return 200, json.dumps(told)


def faults(driver, server, receiver, look):
    """Whatever the other side does wrong is told; nothing of it is taken for a weight."""
    for what, parts in (((500, "out of order"), ("500", "out of order")),
                        ((404, ""), ("404",)), ((301, ""), ("301",)),
                        ("hang", ("no answer within 300 ms",)), ("drop", ()), ("junk", ())):
        server.next.append(what)
        driver.fails(("apply", 500, "shop/3"), server.url, *parts)
    garbage = ("", "ok", "[]", "{}", '{"weight_bp":"5"}', '{"weight_bp":10001}',
               '{"weight_bp":-1}', '{"weight_bp":5.5}', '{"weight_bp":1,"weight_bp":2}')
    for text in garbage:
        server.next.append((200, text))
        driver.fails((look, 500, "shop/3"), "expected {\"weight_bp\": N}")
    receiver.wrong = 900
    check(driver("apply", 500, "shop/3")["ok"], "a wrong read-back is no refusal")
    check(driver("read", 500)["weight_bp"] == 900, "the wrong weight is not told")
    receiver.wrong = None
    driver.moves(500)


def main():
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="serin-hook-") as folder:
        secret, token = os.path.join(folder, "secret"), os.path.join(folder, "token")
        open(secret, "w", encoding="utf-8").write(SECRET + "\n")
        open(token, "w", encoding="utf-8").write("tok\n")
        receiver = Receiver()
        server = Server(receiver.answer)
        settings = {"kind": "webhook", "url": server.url + "/order", "secret_file": secret,
                    "token_file": token, "timeout": "300ms"}
        driver = Driver(tool, settings)
        driver.fails(("read", 0), "not asked yet")
        driver.moves(1)
        driver.moves(2500, "internal", "beta \"x")
        check(receiver.last == {"schema": "serin.order/1", "rollout": "shop",
                                "verdict_id": "shop/3", "weight_bp": 2500, "mirror_bp": 0,
                                "stopped": False,
                                "audience": ["internal", "beta", "\"x"]}, receiver.last)
        told = driver("describe", 2500, "shop/3")["text"]
        check("POST" in told and '"weight_bp":2500' in told and SECRET not in told, told)
        faults(driver, server, receiver, "apply")
        check(driver("apply", 0, "shop/3", "copy=3000")["ok"] and driver("read", 0)["ok"] and
              driver("mirror", 0)["weight_bp"] == 0, "whoever says nothing of copies makes none")
        receiver.copied = True
        for bp in (3000, 10000, 0):
            driver.copies(bp)
        receiver.copied = False
        driver.fails(("apply", 0, "shop/3", "copy=3000"), "mirror_bp")
        receiver.copied = None
        driver.moves(500)
        # The receiver was restarted and forgot: the next look asks for the same again.
        receiver.newest, receiver.weight = -1, 0
        check(driver("read", 500)["weight_bp"] == 500 and receiver.weight == 500, "not repaired")
        driver.close()
        looks = Driver(tool, settings | {"status_url": server.url + "/now"})
        check(looks("read", 500)["weight_bp"] == 500, "GET is not asked")
        faults(looks, server, receiver, "read")
        os.remove(token)
        looks.fails(("read", 500), token, "No such file")
        server.stop()
        open(token, "w", encoding="utf-8").write("tok\n")
        looks.fails(("apply", 500, "shop/4"), server.url, "onnect")
        looks.close()
        refuses(tool, settings | {"url": "ftp://127.0.0.1"}, "http://")
        refuses(tool, {"kind": "webhook"}, "url")
        refuses(tool, settings | {"secrt_file": "x"}, "did you mean \"secret_file\"")
    print("webhook: orders signed, looks answered, faults told")


main()
