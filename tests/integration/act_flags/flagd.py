#!/usr/bin/env python3
"""Driver flagd, its file evaluated by flagd's own core from npm: shares within binomial error,
nobody leaves the canary when the share grows, segments first, the kill switch at once, other
flags untouched, valid by flagd's schema after every step."""
import json
import math
import os
import subprocess
import sys
import tempfile
import threading

from driver import Driver, check, live, refuses

CORE = {"@openfeature/flagd-core": "4.0.1", "@openfeature/core": "1.9.1"}
USERS = 20000
OTHERS = {
    "$evaluators": {"staff": {"ends_with": [{"var": "email"}, "@acme.example"]}},
    "flags": {
        "banner": {"state": "ENABLED", "defaultVariant": "red",
                   "variants": {"red": "#f00", "blue": "#00f"},
                   "targeting": {"if": [{"$ref": "staff"}, "blue", None]},
                   "metadata": {"owner": "päivi", "ratio": 0.1, "big": 9007199254740993}},
        "old": {"state": "DISABLED", "variants": {"on": True, "off": False},
                "defaultVariant": "off"}},
    "metadata": {"version": "17"}}


def core():
    """The folder that holds flagd's core; made once."""
    folder = os.path.join(live.ROOT, "build", "npm", "flagd-core-" +
                          CORE["@openfeature/flagd-core"])
    if not os.path.exists(os.path.join(folder, "complete")):
        os.makedirs(folder, exist_ok=True)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix",
                        folder, *(f"{name}@{version}" for name, version in CORE.items())],
                       check=True, stdout=subprocess.DEVNULL)
        open(os.path.join(folder, "complete"), "w", encoding="utf-8").close()
    return folder


class Evaluator:
    def __init__(self, path):
        self.path = path
        program = os.path.join(os.path.dirname(__file__), "flagd.mjs")
        self.process = subprocess.Popen(["node", program, core()], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def raw(self, flag, users):
        self.process.stdin.write(json.dumps({"file": self.path, "flag": flag, "users": users}) +
                                 "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def variants(self, users, flag="shop"):
        told = self.raw(flag, users)
        check(told.get("schema") == [], f"flagd's schema refuses the file: {told}")
        for variant, value, _ in told["variants"]:
            check((variant, value) in (("on", True), ("off", False)), told["variants"][:3])
        return [variant for variant, _, _ in told["variants"]]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)


def others_stand(path):
    """All but the one flag is as it was."""
    got = json.load(open(path, encoding="utf-8"))
    del got["flags"]["shop"]
    check(got == OTHERS, f"others' flags changed: {got}")


def grows(driver, flagd, path):
    """From 0.05 % to all: each share is right, and the sets are nested."""
    users = [{"targetingKey": f"user-{i}", "segment": "public"} for i in range(USERS)]
    inside, shares = set(), []
    for bp in (0, 5, 100, 500, 2500, 5000, 9999, 10000):
        driver.moves(bp)
        others_stand(path)
        now = {i for i, variant in enumerate(flagd.variants(users)) if variant == "on"}
        check(inside <= now, f"{len(inside - now)} users left the canary at {bp} bp")
        p = bp / 10000
        # Five standard errors and one: no chance of a false alarm at fixed users.
        room = 5 * math.sqrt(USERS * p * (1 - p)) + 1 if 0 < p < 1 else 0
        check(abs(len(now) - USERS * p) <= room, f"{len(now)} of {USERS} at {p:.2%}")
        inside = now
        shares.append(f"{p:.2%}: {len(now) / USERS:.2%}")
    print("shares", ", ".join(shares))
    driver.moves(2500)
    again = {i for i, v in enumerate(flagd.variants(users)) if v == "on"}
    driver.moves(500)
    less = {i for i, v in enumerate(flagd.variants(users)) if v == "on"}
    check(less < again, "the smaller share is no part of the larger one")
    check(flagd.variants([{}, {"targetingKey": ""}]) == ["off", "off"],
          "somebody without a key got the canary")


def segments(driver, flagd):
    """Segments are served whole, before any percentage and beside it; killed with the rest."""
    users = [{"targetingKey": f"u{i}", "segment": s}
             for i in range(200) for s in ("internal", "beta", "public")]
    users += [{"targetingKey": "no segment"}, {"segment": "internal"}]
    driver.moves(0, "internal", "beta")
    got = flagd.variants(users)
    for user, variant in zip(users, got):
        check((variant == "on") == (user.get("segment") in ("internal", "beta")), (user, variant))
    driver.moves(1000, "internal")
    got = flagd.variants(users)
    check(all(v == "on" for u, v in zip(users, got) if u.get("segment") == "internal"), "")
    some = sum(v == "on" for u, v in zip(users, got) if u.get("segment") != "internal")
    check(10 < some < 80, f"{some} of 401 at 10 %")
    driver.moves(2500, "stopped", "internal")
    check(set(flagd.variants(users)) == {"off"}, "the kill switch left somebody in")


def by_hand(driver, path):
    """A file that a person changed: told, set right, or left alone."""
    def edit(change):
        root = json.load(open(path, encoding="utf-8"))
        change(root["flags"]["shop"])
        json.dump(root, open(path, "w", encoding="utf-8"))

    def widen(flag):
        flag["targeting"]["if"][1]["fractional"][1][1] = 9000
    driver.moves(500)
    edit(widen)
    driver.fails(("read", 500), "not as serin writes it")
    driver.moves(500)
    edit(lambda flag: flag.update(defaultVariant="on"))
    driver.fails(("read", 500), "not as serin writes it")
    driver.moves(500)
    edit(lambda flag: flag.update(state="DISABLED"))
    check(driver("read", 500)["weight_bp"] == 0, "a disabled flag serves nobody")
    driver.fails(("apply", 700, "shop/4"), "DISABLED", "ENABLED or abort")
    driver.moves(0, "stopped")
    edit(lambda flag: flag.update(state="ENABLED", variants={"a": True, "b": False}))
    driver.fails(("apply", 700, "shop/4"), "no variants", "name its own")
    edit(lambda flag: flag.update(variants={"on": True, "off": False}))
    driver.moves(700)
    whole = open(path, encoding="utf-8").read()
    for text in (whole[:len(whole) // 2], "[]", "{}", "flags:\n  shop: 1\n"):
        open(path, "w", encoding="utf-8").write(text)
        driver.fails(("apply", 500, "shop/5"), driver.place["text"].split()[1])
        driver.fails(("read", 500), driver.place["text"].split()[1])
        check(open(path, encoding="utf-8").read() == text, "a file that it cannot read, changed")
    open(path, "w", encoding="utf-8").write(whole)


def two_at_once(tool, path):
    """Two flags of one file, changed by two processes: no change is lost, none is half seen."""
    stop, torn = threading.Event(), []

    def look():
        while not stop.is_set():
            try:
                json.load(open(path, encoding="utf-8"))
            except ValueError as error:
                torn.append(error)
    drivers = [Driver(tool, {"kind": "flagd", "file": path, "flag": name}) for name in "ab"]
    reader = threading.Thread(target=look)
    reader.start()

    def many(driver):
        for bp in range(1, 60):
            check(driver("apply", bp, "shop/3")["ok"], "apply")
            check(driver("read", bp)["weight_bp"] == bp, "another process' change went lost")
    threads = [threading.Thread(target=many, args=(driver,)) for driver in drivers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    reader.join()
    check(not torn, f"half a file was seen: {torn[:1]}")
    for driver in drivers:
        check(driver("read", 59)["weight_bp"] == 59, "a change went lost")
        driver.close()


def main():
    tool = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="serin-flagd-") as folder:
        path = os.path.join(folder, "flags.json")
        link = os.path.join(folder, "link.json")
        json.dump(OTHERS, open(path, "w", encoding="utf-8"))
        os.chmod(path, 0o640)
        os.symlink(path, link)
        flagd = Evaluator(path)
        driver = Driver(tool, {"kind": "flagd", "file": link, "flag": "shop"})
        check(driver("read", 0)["weight_bp"] == 0, "a flag that is not there serves nobody")
        grows(driver, flagd, path)
        segments(driver, flagd)
        check(os.path.islink(link) and os.stat(path).st_mode & 0o777 == 0o640, "link or mode")
        by_hand(driver, path)
        others_stand(path)
        # flagd's core does refuse: what it accepts above, it has looked at.
        root = json.load(open(path, encoding="utf-8"))
        root["flags"]["shop"]["targeting"] = {"if": [{"in": ["x"]}, "on"]}
        json.dump(root, open(path, "w", encoding="utf-8"))
        told = flagd.raw("shop", [{}])
        check(told.get("schema") or told.get("error"), f"no schema is asked: {told}")
        flagd.stop()
        told = driver("describe", 500, "shop/3", "beta")["text"]
        check("fractional" in told or "beta" in told, told)
        driver.close()
        empty = os.path.join(folder, "new.json")
        fresh = Driver(tool, {"kind": "flagd", "file": empty, "flag": "shop"})
        fresh.moves(500)
        fresh.close()
        two_at_once(tool, empty)
        gone = Driver(tool, {"kind": "flagd", "file": folder + "/no/such", "flag": "shop"})
        gone.fails(("apply", 1, "shop/1"), "folder", "No such file")
        gone.close()
        refuses(tool, {"kind": "flagd", "file": path, "flag": "f", "canary": "off"}, "are both")
        refuses(tool, {"kind": "flagd", "file": path}, "flag")
    print("flagd: nested shares, segments, kill switch, schema, other flags untouched")


if __name__ == "__main__":
    main()
