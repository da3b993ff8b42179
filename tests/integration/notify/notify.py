#!/usr/bin/env python3
"""Verdicts to people: a real Alertmanager, a mail server, and an HTTP server that fails first.

Nothing is lost when the notifier is killed, a dead receiver stops no other, an end follows each
beginning under the same key, and no secret is in a log line.
"""
import email
import email.policy
import hashlib
import hmac
import json
import os
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402

live.run_with("aiosmtpd==1.4.6", "fastjsonschema==2.20.0")
import fastjsonschema  # noqa: E402
import receivers  # noqa: E402

PLAN = """\
id: {id}
service: shop
owner: pay@acme.example
release_notes: "schneller – {id}"
rollback_plan: "switch | back <now>"
strict: true
cohorts: {{canary: {{version: "2"}}, baseline: {{version: "1"}}}}
calibrate: skip
window: 1s
steps: [{{weight: 5%, worse_than: 3, bake: 10m, gate: sre}}, {{weight: 100%}}]
gates: {{sre: {{approvers: [alice], reason: before the start}}}}
metrics: [{{name: errors, phi: 1}}]
"""
SECRETS = {"hook.key": "hmac-secret-1f", "slack.url": None, "pager.key": "R0UTINGKEY0123456789",
           "mail.key": "Pa55phrase"}
LATER_S = 3  # chat is to be left alone for so long
TEXT = {"type": "string", "minLength": 1}
# https://developer.pagerduty.com/docs/send-alert-event
PAGERDUTY = fastjsonschema.compile({
    "type": "object", "required": ["routing_key", "event_action", "dedup_key"],
    "properties": {"routing_key": TEXT, "dedup_key": {**TEXT, "maxLength": 255},
                   "event_action": {"enum": ["trigger", "acknowledge", "resolve"]},
                   "client": TEXT,
                   "payload": {"type": "object", "required": ["summary", "source", "severity"],
                               "properties": {"summary": {**TEXT, "maxLength": 1024},
                                              "source": TEXT, "component": TEXT, "class": TEXT,
                                              "severity": {"enum": ["critical", "error",
                                                                    "warning", "info"]},
                                              "timestamp": {"type": "string", "pattern":
                                                            r"^\d{4}-\d\d-\d\dT[\d:.]+Z$"},
                                              "custom_details": {"type": "object"}},
                               "additionalProperties": False}},
    "if": {"properties": {"event_action": {"const": "trigger"}}}, "then": {"required": ["payload"]},
    "additionalProperties": False})
# https://api.slack.com/messaging/webhooks, https://api.slack.com/reference/messaging/attachments
SLACK = fastjsonschema.compile({
    "type": "object", "required": ["text"], "additionalProperties": False,
    "properties": {"text": {**TEXT, "maxLength": 40000},
                   "attachments": {"type": "array", "maxItems": 100, "items": {
                       "type": "object", "required": ["fallback", "text"],
                       "additionalProperties": False,
                       "properties": {"fallback": TEXT, "text": TEXT,
                                      "color": {"type": "string",
                                                "pattern": "^#[0-9a-f]{6}$"}}}}}})


class Alertmanager:
    """Debian's, on a port of its own."""

    def __init__(self, folder):
        self.port = live.free_port()
        path = os.path.join(folder, "am.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        self.process = subprocess.Popen(
            ["/usr/bin/prometheus-alertmanager", f"--config.file={path}",
             f"--storage.path={folder}/am", "--cluster.listen-address=",
             f"--web.listen-address=127.0.0.1:{self.port}"], stderr=subprocess.DEVNULL)
        live.wait_for("alertmanager", lambda: self.alerts() is not None)

    def alerts(self):
        """{(alertname, rollout, reason): alert} of those that are firing."""
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port}/api/v2/alerts?active=true") as answer:
                return {(a["labels"]["alertname"], a["labels"].get("rollout"),
                         a["labels"]["reason"]): a for a in json.load(answer)}
        except OSError:
            return None

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Notifier:
    """`serin notify`; what it logs is kept."""

    def __init__(self, program, folder):
        self.program, self.folder, self.process = program, folder, None
        self.log = os.path.join(folder, "notify.log")
        self.metrics = os.path.join(folder, "notify.prom")

    def start(self, names):
        if os.path.exists(self.metrics):
            os.remove(self.metrics)
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [self.program, "notify", "-c", f"{self.folder}/serin.yaml", "--instance", "n1",
                 "--metrics", self.metrics], stderr=log)
        live.wait_for("the receivers", lambda: all(
            f'serin_notify_ready{{receiver="{name}"}} 1' in self.read(self.metrics)
            for name in names))

    @staticmethod
    def read(path):
        try:
            with open(path, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.process.terminate()
        live.check(self.process.wait(60) == 0, "serin notify did not end well")

    def test(self, name):
        return subprocess.run([self.program, "notify", "-c", f"{self.folder}/serin.yaml",
                               "--test", name], capture_output=True, text=True, check=False,
                              timeout=60)


def config(web, mail, vault, alertmanager, folder, topic):
    return f"""\
inputs: [{{topic: {topic}, start: latest}}]
instance: notify
status: 1s
alerts:
  silence: 5s
  receivers:
    - {{name: hook, kind: webhook, url: "{web.url('/hook')}", secret_file: {folder}/hook.key,
       severity: info, timeout: 1s}}
    - {{name: chat, kind: slack, url_file: {folder}/slack.url, template: "{{rollout}}: {{message}}"}}
    - {{name: pager, kind: pagerduty, url: "{web.url('/pager')}", secret_file: {folder}/pager.key}}
    - {{name: am, kind: alertmanager, url: "http://127.0.0.1:{alertmanager.port}/"}}
    - {{name: mail, kind: email, url: "smtp://127.0.0.1:{mail.port}", from: serin@acme.example,
       to: [a@acme.example, b@acme.example]}}
    - {{name: vault, kind: email, url: "smtp://127.0.0.1:{vault.port}", from: serin@acme.example,
       to: [c@acme.example], user: serin, secret_file: {folder}/mail.key, ca_file: {folder}/cert.pem}}
    - {{name: naked, kind: email, url: "smtp://127.0.0.1:{mail.port}", from: serin@acme.example,
       to: [d@acme.example], user: serin, secret_file: {folder}/mail.key, rollouts: [nobody]}}
    - {{name: stranger, kind: email, url: "smtp://127.0.0.1:{vault.port}", user: serin,
       from: serin@acme.example, to: [d@acme.example], secret_file: {folder}/mail.key,
       rollouts: [nobody]}}
    - {{name: dead, kind: webhook, url: "{web.url('/dead')}"}}
    - {{name: others, kind: webhook, url: "{web.url('/others')}", rollouts: ["other-*"]}}
"""


NAMES = ("hook", "chat", "pager", "am", "mail", "vault", "naked", "stranger", "dead", "others")


def said(web, path):
    """(key, status) in the order of their first delivery."""
    seen = []
    for body in web.at(path):
        item = ((body["key"], body["status"]) if "key" in body
                else (body["dedup_key"], body["event_action"]))
        if item not in seen and not item[0].startswith("serin-test"):
            seen.append(item)
    return seen


def words_of(message):
    return message.get_payload(decode=True).decode()


def certificate(folder):
    """Of 127.0.0.1, signed by itself."""
    files = (os.path.join(folder, "cert.pem"), os.path.join(folder, "cert.key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=mail",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-out", files[0], "-keyout",
                    files[1]], check=True, capture_output=True)
    return files


def begins(engine, web, mail, vault, alertmanager):
    """A gate that waits is told everywhere, whatever went wrong first; then its end."""
    engine("apply", "-", text=PLAN.format(id="shop-2"))
    gate = ("SerinHold", "shop-2", "gate")
    live.wait_for("the hook", lambda: said(web, "/hook") == [("shop-2:gate", "firing")])
    live.wait_for("the pager", lambda: ("shop-2:gate", "trigger") in said(web, "/pager"))
    live.wait_for("chat", lambda: web.at("/chat"))
    live.wait_for("alertmanager", lambda: gate in alertmanager.alerts())
    live.wait_for("a mail", lambda: mail.taken)
    live.check(mail.refused == 1, "the mail was to be refused first")
    live.wait_for("a mail by STARTTLS and login", lambda: vault.taken)
    live.check(set(login[1:] for login in vault.logins) == {("serin", SECRETS["mail.key"])},
               f"{vault.logins}")
    turned = [when for path, _, _, when in web.turned_away if path == "/chat"]
    first = next(when for path, _, _, when in web.taken if path == "/chat")
    live.check(len(turned) == 1 and first - turned[0] >= LATER_S,
               f"chat was asked again after {first - turned[-1]:.1f} s, {len(turned)} times")
    alert = alertmanager.alerts()[gate]
    live.check(alert["labels"]["severity"] == "warning" and
               alert["annotations"]["rollback_plan"] == "switch | back <now>", f"{alert}")
    live.check(len([1 for path, *_ in web.turned_away if path == "/hook"]) == 4,
               "the hook was to fail four times")
    path, headers, body, _ = next(t for t in web.taken if t[0] == "/hook")
    expected = hmac.new(SECRETS["hook.key"].encode(), body, hashlib.sha256).hexdigest()
    live.check(headers["X-Serin-Signature"] == "sha256=" + expected, f"{path}: signature")
    live.check(headers["Idempotency-Key"] == "shop-2:gate/1/firing", f"{headers}")


def dies(engine, web, notifier):
    """Killed with an end undelivered; what comes meanwhile is told, too, in its order."""
    web.down.add("/hook")
    stranger = engine("approve", "shop-2", "sre", "--actor", "mallory", code=None)
    live.check(stranger.returncode != 0 and "mallory is no approver of gate sre; ask alice" in
               stranger.stderr, f"{stranger}")
    engine("approve", "shop-2", "sre", "--actor", "alice", "--reason", "looks good")
    live.wait_for("the end at the pager", lambda: ("shop-2:gate", "resolve") in said(web, "/pager"))
    live.wait_for("a try at the hook", lambda: any(
        path == "/hook" and b'"resolved"' in body for path, _, body, _ in web.turned_away))
    notifier.kill()
    engine("hold", "shop-2", "--reason", "lunch")
    engine("abort", "shop-2", "--actor", "bob", "--reason", "enough")
    web.down.discard("/hook")
    notifier.start(NAMES)
    live.wait_for("all of it", lambda: said(web, "/hook") == [
        ("shop-2:gate", "firing"), ("shop-2:gate", "resolved"),
        ("shop-2:operator", "firing"), ("shop-2:operator", "resolved"),
        ("shop-2:abort", "firing")])
    live.wait_for("the abort at the pager", lambda: ("shop-2:abort", "trigger") in
                  said(web, "/pager"))
    again = [b for b in web.at("/pager") if b["dedup_key"] == "shop-2:gate" and
             b["event_action"] == "trigger"]
    live.check(len(again) == 1, "what was committed is not told again after a restart")
    live.check(not any("operator" in key for key, _ in said(web, "/pager")),
               "an ordered hold is no warning")


def engine_dies(engine, web, alertmanager):
    engine("apply", "-", text=PLAN.format(id="shop-3"))
    live.wait_for("the second gate", lambda: ("shop-3:gate", "firing") in said(web, "/hook"))
    engine.kill()
    live.wait_for("the dead engine at the pager", lambda: ("serin:engine", "trigger") in
                  said(web, "/pager"))
    live.wait_for("and at alertmanager", lambda: ("SerinEngineDead", None, "engine_silent") in
                  alertmanager.alerts())
    engine.process = subprocess.Popen(engine.command)
    live.wait_for("the engine", lambda: engine("list", code=None).returncode == 0)
    live.wait_for("its return", lambda: said(web, "/hook")[-1] == ("serin:engine", "resolved"))
    live.wait_for("and at alertmanager", lambda: ("SerinEngineDead", None, "engine_silent") not in
                  alertmanager.alerts())


def wrote(engine, web, mail, notifier):
    """What was written, to the letter; and what was not."""
    for body in web.at("/pager"):
        PAGERDUTY(body)
        live.check(body["routing_key"] == SECRETS["pager.key"], "routing key")
    for body in web.at("/chat"):
        SLACK(body)
    first = web.at("/chat")[0]["attachments"][0]["text"]
    live.check(first.startswith("shop-2: ready to start"), f"template: {first}")
    abort = next(b for b in web.at("/chat") if "ABORT" in b["text"])
    live.check(abort["attachments"][0]["text"].startswith(
        "Rollback plan: switch | back &lt;now&gt;\n"), f"{abort}")
    hook = next(b for b in web.at("/hook") if b["key"] == "shop-2:abort")
    live.check(hook["schema"] == "serin.alert/1" and hook["actor"] == "bob" and
               hook["severity"] == "warning" and hook["release_notes"] == "schneller – shop-2" and
               hook["text"].startswith("Rollback plan: switch | back <now>\n"), f"{hook}")
    mails = [email.message_from_bytes(m[2], policy=email.policy.default) for m in mail.taken]
    live.check(mail.taken[0][1] == ["a@acme.example", "b@acme.example"], "recipients")
    live.check(mails[0]["Subject"].startswith("[serin] HOLD shop-2 (gate)"), mails[0]["Subject"])
    live.check(any("schneller – shop-2" in words_of(m.get_body()) for m in mails), "mail's text")
    ends = [m for m in mails if m["In-Reply-To"]]
    live.check(ends and all(any(o["Message-ID"] == m["In-Reply-To"] for o in mails)
                            for m in ends), "an end answers its beginning")
    live.check(not web.at("/others") and not web.at("/dead"), "filtered, and dead")
    notes = engine("notes", "shop-2").stdout
    for text in ("# shop-2: ABORTED", "## Rollback plan\n\nswitch | back <now>", "approved by alice",
                 "schneller – shop-2", "| ABORT |", "enough"):
        live.check(text in notes, f"notes lack {text}: {notes}")
    live.check(notes.index("## Rollback plan") < notes.index("## Release notes"), "first things")
    watched = engine("get", "shop-2", "--watch", code=1).stdout
    live.check(watched.startswith("Rollback plan: switch"), watched)
    told = engine("explain", "shop-2").stdout
    live.check(told.index("Rollback plan") < told.index("ABORT from"), told)
    log = notifier.read(notifier.log)
    for secret in SECRETS.values():
        live.check(secret not in log, "a secret is in the log")
    live.check("chat" in log and "503" in log, "failures are logged")


def tested(web, mail, vault, notifier):
    good = notifier.test("hook")
    live.check(good.returncode == 0 and [b["status"] for b in web.at("/hook")[-2:]] ==
               ["firing", "resolved"], f"{good}")
    for name in ("chat", "dead"):
        web.down.add("/" + name)
        bad = notifier.test(name)
        live.check(bad.returncode == 5 and "503" in bad.stderr, f"{bad}")
        live.check(SECRETS["slack.url"] not in bad.stderr, "a secret in an error")
    bad = notifier.test("naked")  # the mail server has no TLS, and asks for the password
    live.check(bad.returncode == 5 and not mail.logins, f"a password in the clear: {bad}")
    known = len(vault.logins)
    bad = notifier.test("stranger")  # nobody vouches for that certificate
    live.check(bad.returncode == 5 and len(vault.logins) == known and
               "certificate" in bad.stderr.lower(), f"{bad}")
    live.check(notifier.test("nobody").returncode == 2, "a receiver that is none")


def main():
    program, bootstrap = sys.argv[1], os.environ["SERIN_TEST_BOOTSTRAP"]
    live.create_topic(bootstrap, "notify-in", 1)
    web = receivers.Web({"/hook": [500, None, 0, 429], "/chat": [(429, LATER_S)], "/pager": [503]})
    web.down.add("/dead")
    mail = receivers.Mail(refusals=1)
    with tempfile.TemporaryDirectory(prefix="serin-notify-") as folder:
        SECRETS["slack.url"] = web.url("/chat")
        for name, text in SECRETS.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text + "\n")
        vault = receivers.Mail(certificate=certificate(folder),
                               login=("serin", SECRETS["mail.key"]))
        alertmanager, engine = Alertmanager(folder), None
        notifier = Notifier(program, folder)
        try:
            engine = live.Engine(program, folder, bootstrap, "notify.",
                                 config(web, mail, vault, alertmanager, folder, "notify-in"))
            notifier.start(NAMES)
            begins(engine, web, mail, vault, alertmanager)
            dies(engine, web, notifier)
            engine_dies(engine, web, alertmanager)
            tested(web, mail, vault, notifier)
            wrote(engine, web, mail, notifier)
            notifier.stop()
            engine.stop()
        finally:
            notifier.kill()
            if engine is not None:
                engine.kill()
            alertmanager.stop()
            mail.stop()
            vault.stop()
            web.stop()


main()
