#!/usr/bin/env python3
"""serin report: report.py --serin PATH --world PATH [--keep DIR]

Reports of recorded metrics, of an inbox and of a live engine. Checked: the HTML is well
formed, offline, under 1 MB, accessible, and hostile texts stay texts; Chromium asks nobody
for anything, has no error and shows both colour schemes; the PDF has pages with the words;
PNG, Markdown and JSON; what is said about wrong input. --keep: leave the files there.
"""
import argparse
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
import zlib

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests/support"))
from wire import (APPLY, BASELINE, CANARY, HOLD, command, ingest_tick, partial,  # noqa: E402
                  recording, stage_tick)

T0 = 1_760_000_000_000
LIMIT = 1_000_000
HTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = """</p><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)> & "q" 'a' | *b*"""
failures = []


def check(ok, what):
    print("ok  " if ok else "FAIL", what, flush=True)
    if not ok:
        failures.append(what)


def serin(*words, code=0, data=None, env=None):
    done = subprocess.run([ARGS.serin, *words], input=data, capture_output=True, timeout=120,
                          env={**os.environ, **(env or {})})
    err = done.stderr.decode()
    check(done.returncode == code, f"serin {' '.join(words)[-70:]}: exit {code} "
                                   f"({done.returncode} {err.strip()[-200:]})")
    return done.stdout, err


def put(name, text):
    path = os.path.join(DIR, name)
    with open(path, "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
    return path


def own(name):
    return os.path.join(ROOT, "deploy/recordings", name)


# ---------------------------------------------------------------- HTML as a document

def document(path):
    with open(path, "rb") as file:
        data = file.read()
    check(len(data) < LIMIT, f"{os.path.basename(path)}: {len(data)} bytes, under 1 MB")
    done = subprocess.run(["xmllint", "--nonet", "--noout", path], capture_output=True)
    check(done.returncode == 0, f"xmllint: {done.stderr.decode()[:300]}")
    return ET.fromstring(data)


def words_of(node):
    return " ".join("".join(node.itertext()).split())


def accessible(page):
    """Every picture says what it is and has its numbers beside it; ids are unique."""
    ids = [e.get("id") for e in page.iter() if e.get("id")]
    check(len(ids) == len(set(ids)), "ids are unique")
    main = list(page.find(f"{HTML}body/{HTML}main"))
    figures = [i for i, e in enumerate(main) if e.tag == HTML + "figure"]
    for i in figures:
        svg = main[i].find(SVG + "svg")
        title, desc = svg.find(SVG + "title"), svg.find(SVG + "desc")
        named = {title.get("id"), desc.get("id")}
        fine = (svg.get("role") == "img" and set(svg.get("aria-labelledby").split()) == named
                and len(title.text) > 5 and len(desc.text) > 30)
        table = main[i + 1].find(f".//{HTML}table")
        if not fine or table is None:
            check(False, f"{title.text}: a title, a description, a table beside it")
        drawn = svg.findall(SVG + "path")
        if len(drawn) < 5:
            check(False, f"{title.text}: cairo drew {len(drawn)} paths")
    heads = page.findall(f".//{HTML}th")
    check(heads and all(h.get("scope") for h in heads), "cells that head say of what")
    return [main[i].find(HTML + "figcaption").text for i in figures]


def offline(page, link=None):
    """Nothing that a browser would load or run; the one link is for people."""
    loads = [(e.tag, k, v) for e in page.iter() for k, v in e.attrib.items()
             if k.split("}")[-1] in ("src", "href", "srcset", "data", "action", "xlink")
             and not v.startswith("data:")]
    check(loads == ([(HTML + "a", "href", link)] if link else []), f"nothing to load: {loads}")
    check(not [e for e in page.iter() if e.tag.split("}")[-1] in ("script", "iframe", "object")],
          "no script")
    check(not [k for e in page.iter() for k in e.attrib if k.startswith("on")], "no handlers")


# ---------------------------------------------------------------- metrics of every kind

EVERY = """id: shop
service: {service}
owner: {service}
release_notes: {notes}
rollback_plan: "https://wiki.example/rollback?a=1&b=2"
cohorts: {{canary: {{version: "2"}}, baseline: {{version: "1"}}}}
window: 1s
calibrate: skip
steps: [{{weight: 10%, worse_than: 3, bake: 20s, warmup: 0s}}, {{weight: 100%, watch: 10s}}]
metrics:
  - {{name: errors, kind: ratio, phi: 1}}
  - {{name: checkouts, kind: ratio, direction: down, phi: 1}}
  - {{name: crashes, kind: events, exposure: errors, phi: 1}}
  - {{name: cpu, kind: gauge, batch: 10s, from: {{metric: cpu, unit_key: pod}}}}
  - {{name: full, kind: saturation, batch: 10s, bound: 0.9, phi: 1, from: {{metric: cpu, unit_key: pod}}}}
criteria: {{all_of: [errors]}}
"""


def every_kind(seconds, canary_rate):
    rng = random.Random(7)
    out = []
    for s in range(seconds):
        for version, n, rate in (("2", 200, canary_rate), ("1", 1800, 0.01)):
            def add(metric, _v=version, _s=s, **values):
                out.append({"t_ms": T0 + 1000 * _s, "attributes": {"version": _v},
                            "metric": metric, **values})
            bad = sum(rng.random() < rate for _ in range(n))
            add("errors", n=n, bad=bad)
            add("checkouts", n=n, bad=n // 2 + rng.randrange(-5, 5))
            if rng.random() < n / 6000:
                add("crashes", n=1)
            for pod in range(3):
                add("cpu", unit=f"{version}-{pod}", gauge=0.4 + 0.1 * rng.random())
    return "".join(json.dumps(r) + "\n" for r in out)


def metrics():
    plan = put("every.yaml", EVERY.format(service=json.dumps(HOSTILE),
                                          notes=json.dumps("First line\n" + HOSTILE)))
    lines = put("every.jsonl", every_kind(120, 0.025))
    path = os.path.join(DIR, "every.html")
    serin("report", lines, "--plan", plan, "--out", path)
    page = document(path)
    titles = accessible(page)
    offline(page, "https://wiki.example/rollback?a=1&b=2")
    text = words_of(page.find(HTML + "body"))
    check("shop: ABORTED" in text and "for the reason harm" in text, "the verdict in words")
    check(text.count(" ".join(HOSTILE.split())) >= 3, "hostile texts are shown as they are")
    for name in ("errors", "checkouts", "crashes"):
        check(f"{name}: both cohorts over time" in titles, f"{name} over time ({titles})")
    for name in ("errors", "checkouts"):
        check(f"{name}: ratio and its anytime limits" in titles, f"limits of {name}")
        check(f"{name}: log evidence against its thresholds" in titles, f"evidence of {name}")
    check("Traffic of the canary over time" in titles, "traffic")
    check("All metrics: canary against baseline" in titles, "forest plot")
    check("worse by e-BH over the metrics" in text, "e-BH marks what is worse")
    code_and_words(plan, lines)
    return path


def code_and_words(plan, lines):
    out, _ = serin("report", lines, "--plan", plan, "-o", "json")
    j = json.loads(out)
    last = j["verdicts"][-1]
    check(j["schema"] == "serin.report/1" and last["verdict"] == "ABORT", "JSON")
    series = j["series"]["errors"]
    check(len(series["t_ms"]) == len(series["abort"]) > 5, "JSON has the curves")
    check(max(x for x in series["abort"] if x is not None) >= last["metrics"][0]["abort"]["threshold"],
          "the curve of the evidence reaches the threshold that stopped it")
    check(j["explain"]["id"] == last["id"] and any(i["holds"] for i in j["explain"]["inequalities"]),
          "JSON has the inequality that decided")
    total = sum(series["canary_n"])
    check(abs(total - last["metrics"][0]["canary"]["n"]) < 1e-6,
          f"pieces add up to the step's counts: {total}")
    out, _ = serin("report", lines, "--plan", plan, "-o", "md")
    text = out.decode()
    check("# shop: ABORTED" in text and "| Last verdict | " + last["hash"] in text, "Markdown")
    check("<script" not in text and "<img" not in text, "Markdown: no markup from outside")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in rows]
    groups = [b for i, b in enumerate(bars) if i + 1 < len(rows) and rows[i + 1].startswith("|---")]
    check(len(groups) >= 4 and set(bars) == set(groups), "Markdown: no cell breaks its table")


def latency():
    """A recording of ours: quantiles, PNG, size of everything."""
    path, plots = os.path.join(DIR, "latency.html"), os.path.join(DIR, "plots")
    serin("report", own("regression.jsonl.zst"), "--plan", own("plan.yaml"), "--out", path,
          "--plots", plots)
    page = document(path)
    titles = accessible(page)
    offline(page)
    check("latency: quantiles" in titles, "quantiles of both cohorts")
    names = sorted(os.listdir(plots))
    check(len(names) == len(titles), f"a PNG for every plot: {names}")
    for name in names:
        with open(os.path.join(plots, name), "rb") as file:
            width, _, pixel = png(file.read())
        if width != 1360 or pixel != (255, 255, 255):
            check(False, f"{name}: {width} wide on {pixel}")
    _, err = serin("report", own("regression.jsonl.zst"), "--plan", own("plan.yaml"), "--plots",
                   "/dev/null/x", code=2)
    check("/dev/null/x" in err, "a folder that cannot be made is named")
    return path


def many():
    """32 metrics over many windows stay under the limit."""
    names = ", ".join(f"{{name: m{i}, kind: ratio, phi: 1}}" for i in range(32))
    plan = put("many.yaml", 'id: many\ncohorts: {canary: {version: "2"}, baseline: {version: "1"}}\n'
                            "window: 1s\ncalibrate: skip\nsteps: [{weight: 10%, worse_than: 1.3, "
                            f"bake: 20s, warmup: 0s}}, {{weight: 100%, watch: 10s}}]\nmetrics: [{names}]\n")
    rng = random.Random(3)
    lines = "".join(
        json.dumps({"t_ms": T0 + 1000 * s, "attributes": {"version": v}, "metric": f"m{i}",
                    "n": n, "bad": rng.randrange(0, 1 + n // 50)}) + "\n"
        for s in range(150) for i in range(32) for v, n in (("2", 100), ("1", 900)))
    path = os.path.join(DIR, "many.html")
    serin("report", put("many.jsonl", lines), "--plan", plan, "--out", path)
    page = document(path)
    check(len(accessible(page)) >= 3 * 32, "every plot of 32 metrics")


# ---------------------------------------------------------------- an inbox

INBOX = """apiVersion: serin/v1
kind: Rollout
id: NAME
cohorts: {canary: {v: c}, baseline: {v: b}}
window: 1s
calibrate: skip
steps:
  - {weight: 10%, worse_than: 4, bake: 5s, warmup: 0s}
  - {weight: 50%, worse_than: 3, bake: 5s, warmup: 0s, gate: owners}
  - {weight: 100%, watch: 5s, warmup: 0s}
gates: {owners: {approvers: [ann], expires: 1h}}
metrics: [{name: errors, kind: ratio, phi: 1, abort_over: 1.2}]
"""


def inbox_story(rollouts, hold_at):
    out = []

    def add(t_ms, key, value):
        out.append((0, len(out), t_ms, key, value))
    add(T0, "@stage", stage_tick(T0))
    for r in rollouts:
        add(T0, r, command(r, APPLY, INBOX.replace("NAME", r), f"apply-{r}", T0))
    for i in range(40):
        t = T0 + 1000 * i
        for r in rollouts:
            add(t + 900, r, partial(r, [(CANARY, "errors", t, 500, 10),
                                        (BASELINE, "errors", t, 4500, 90)]))
            if i == hold_at:
                add(t + 950, r, command(r, HOLD, "", f"hold-{r}", t + 950))
        add(t + 1000, "worker-1", ingest_tick(t + 1000, t + 1000))
        add(t + 1000, "@stage", stage_tick(t + 1000))
    return recording(out, 10)


def inbox():
    path, page_path = put("inbox.rec", inbox_story(["web"], 8)), os.path.join(DIR, "inbox.html")
    serin("report", path, "--out", page_path)
    page = document(page_path)
    titles = accessible(page)
    text = words_of(page)
    check("web: HELD" in text and "command hold" in text, "commands are in the timeline")
    check("Gates" in text and "owners" in text, "gates")
    check("Sample ratio over time" in titles, "sample ratio")
    check("Traffic of the canary over time" in titles, "traffic")
    whole = inbox_story(["web"], 8)
    _, err = serin("report", put("cut.rec", whole[:len(whole) * 2 // 3]), "--out", page_path)
    check("what was before is reported" in err, "a recording cut short: said and used")
    several = put("several.rec", inbox_story(["web", "api"], 8))
    _, err = serin("report", several, code=2)
    check("web, api" in err and "--rollout" in err, "several rollouts: pick one")
    out, _ = serin("report", several, "--rollout", "api", "-o", "json")
    check(json.loads(out)["rollout"] == "api", "one of several")
    _, err = serin("report", several, "--rollout", "nobody", code=2)
    check("nobody" in err and "web, api" in err, "none of that name: what there is")
    _, err = serin("report", several, "--plan", own("plan.yaml"), code=2)
    check("leave --plan out" in err, "an inbox has its plan")


def wrong():
    _, err = serin("report", own("regression.jsonl.zst"), code=2)
    check("--plan PLAN is missing" in err, "metrics need a plan")
    _, err = serin("report", os.path.join(DIR, "none.rec"), code=2)
    check("none.rec" in err, "no such file")
    _, err = serin("report", own("plan.yaml"), "--plan", own("plan.yaml"), code=2)
    check("plan.yaml" in err, "not a recording")
    _, err = serin("report", "x", "-o", "docx", code=2)
    check("html, pdf, md or json" in err, "formats")
    _, err = serin("report", put("empty.jsonl", ""), "--plan", own("plan.yaml"), code=2)
    check("no rollout in it can be judged" in err, "empty: " + err)
    _, err = serin("report", own("healthy.jsonl.zst"), "--plan", own("plan.yaml"), "--out",
                   "/nonexistent/x.html", code=2)
    check("/nonexistent/x.html" in err, "nowhere to write")


# ---------------------------------------------------------------- a live engine

def live():
    address = os.path.join(DIR, "world.sock")
    env = {"SERIN_ADDR": "unix:" + address, "USER": HOSTILE[:60]}
    world = subprocess.Popen([ARGS.world, env["SERIN_ADDR"], "5000", "stage"], stdin=subprocess.PIPE)
    try:
        plan = put("live.yaml", EVERY.format(service="web", notes=json.dumps(HOSTILE)).replace(
            "id: shop", "id: live").replace("calibrate: skip", "calibrate: 2m"))
        end = time.monotonic() + 60
        while subprocess.run([ARGS.serin, "apply", plan], env={**os.environ, **env},
                             capture_output=True).returncode != 0:
            if time.monotonic() > end:
                raise AssertionError("the world did not become ready")
            time.sleep(0.2)
        serin("hold", "live", "--reason", HOSTILE, env=env)
        path = os.path.join(DIR, "live.html")
        serin("report", "live", "--out", path, env=env)
        page = document(path)
        offline(page, "https://wiki.example/rollback?a=1&b=2")
        text = words_of(page)
        check("live: HELD" in text, "a live rollout: " + text[:200])
        check(" ".join(HOSTILE.split()) in text, "release notes and reasons from the API")
        _, err = serin("report", "nobody", code=2, env=env)
        check("nobody" in err, "no such rollout")
        _, err = serin("report", "live", "--rollout", "x", code=2, env=env)
        check("are for a FILE" in err, "options of files")
    finally:
        world.stdin.close()
        world.wait(timeout=30)


# ---------------------------------------------------------------- Chromium

class Proxy:
    """Whatever leaves the browser comes here."""

    def __init__(self):
        self.asked = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                peer, _ = self.socket.accept()
                self.asked.append(peer.recv(4096).split(b"\r\n")[0].decode("latin-1"))
                peer.sendall(b"HTTP/1.1 404 none\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                peer.close()
            except OSError:
                return


def chromium(path, picture, dark):
    """What it asked for outside, what its console said."""
    proxy = Proxy()
    done = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--no-first-run", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--disable-default-apps", "--hide-scrollbars",
         f"--user-data-dir={os.path.join(DIR, 'profile')}", "--window-size=1000,3000",
         f"--proxy-server=http://127.0.0.1:{proxy.port}", "--enable-logging=stderr",
         f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--screenshot={picture}",
         "file://" + path],
        capture_output=True, timeout=120)
    proxy.socket.close()
    said = [line for line in done.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
    if not os.path.exists(picture):
        raise AssertionError("no screenshot: " + done.stderr.decode(errors="replace")[-600:])
    return [a for a in proxy.asked if "evil.example" in a or "wiki.example" in a or "file" in a
            or not re.search(r"google|gstatic|googleapis", a)], said


def png(data):
    """Width, height, the first pixel: every filter leaves that one as it is."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, size = 8, b"", (0, 0)
    while at < len(data):
        n, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        if kind == b"IHDR":
            size = tuple(int.from_bytes(data[at + 8 + 4 * i:at + 12 + 4 * i], "big") for i in (0, 1))
        if kind == b"IDAT":
            packed += data[at + 8:at + 8 + n]
        at += 12 + n
    return (*size, tuple(zlib.decompress(packed)[1:4]))


def browser(paths):
    control = put("control.html", '<!doctype html><img src="http://evil.example/x.png">'
                                  "<script>console.error('wrong')</script>")
    asked, said = chromium(control, os.path.join(DIR, "control.png"), False)
    check(any("evil.example" in a for a in asked), f"the proxy sees requests: {asked}")
    check(any("wrong" in line for line in said), f"errors of the console are seen: {said}")
    for i, path in enumerate(paths):
        for dark in (False, True):
            if i > 0 and dark:
                continue
            picture = f"{path[:-5]}-{'dark' if dark else 'light'}.png"
            asked, said = chromium(path, picture, dark)
            name = os.path.basename(picture)
            check(asked == [] and said == [], f"{name}: no request, no error: {asked} {said}")
            with open(picture, "rb") as file:
                data = file.read()
            _, _, pixel = png(data)
            check(max(pixel) < 60 if dark else min(pixel) > 240, f"{name}: on {pixel}")
            check(len(data) > 50000, f"{name}: something is drawn ({len(data)} bytes)")


def pdf():
    path = os.path.join(DIR, "latency.pdf")
    serin("report", own("regression.jsonl.zst"), "--plan", own("plan.yaml"), "--out", path)
    text = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True,
                          check=True).stdout.decode()
    check("shop-regression: ABORTED" in text and "latency: quantiles" in text and "Audit" in text,
          "words of the PDF")
    subprocess.run(["pdftoppm", "-r", "40", "-gray", path, os.path.join(DIR, "page")],
                   check=True)
    pages = sorted(n for n in os.listdir(DIR) if n.startswith("page-"))
    check(2 <= len(pages) <= 12 and len(pages) == text.count("\f"), f"{len(pages)} pages")
    for name in pages:
        with open(os.path.join(DIR, name), "rb") as file:
            pixels = file.read()[15:]
        dark = sum(p < 128 for p in pixels) / len(pixels)
        if not 0.002 < dark < 0.3:
            check(False, f"{name}: {100 * dark:.2f} % ink")
    every = os.path.join(DIR, "every.pdf")
    serin("report", os.path.join(DIR, "every.jsonl"), "--plan", os.path.join(DIR, "every.yaml"),
          "-o", "pdf", "--out", every)
    text = subprocess.run(["pdftotext", every, "-"], capture_output=True, check=True).stdout.decode()
    check("<script>alert(1)</script>" in text, "hostile texts in the PDF are texts")


def main():
    latency_path = latency()
    every = metrics()
    many()
    inbox()
    wrong()
    live()
    pdf()
    browser([latency_path, every, os.path.join(DIR, "live.html")])
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serin", required=True)
    parser.add_argument("--world", required=True)
    parser.add_argument("--keep")
    ARGS = parser.parse_args()
    ARGS.serin, ARGS.world = os.path.realpath(ARGS.serin), os.path.realpath(ARGS.world)
    with tempfile.TemporaryDirectory() as folder:
        DIR = os.path.realpath(ARGS.keep or folder)
        os.makedirs(DIR, exist_ok=True)
        sys.exit(main())
