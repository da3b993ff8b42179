#!/usr/bin/env python3
"""The schemas are valid JSON Schemas, and say of a document what `serin lint` says.

A schema cannot express everything (ranges of durations, checks across keys), so what it
refuses must be refused by lint, and what lint accepts must be accepted by it."""
import glob
import json
import subprocess
import sys

import jsonschema
import yaml

SERIN = sys.argv[1]
failures = 0


class Loader(yaml.SafeLoader):
    """YAML 1.2's core types, as editors use them: dates and on/off stay texts."""


for first, resolvers in list(Loader.yaml_implicit_resolvers.items()):
    Loader.yaml_implicit_resolvers[first] = [
        (tag, regexp) for tag, regexp in resolvers
        if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool")]
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", __import__("re").compile("^(true|false)$"),
                             ["t", "f"])


def expect(ok, what):
    global failures
    if not ok:
        failures += 1
        print("FAILED:", what)


def schema(which):
    text = subprocess.run([SERIN, "schema", which], check=True, capture_output=True).stdout
    parsed = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(parsed)
    expect("draft/2020-12" in parsed["$schema"], f"{which} names its draft")
    return jsonschema.Draft202012Validator(parsed)


def lint_ok(text, *options):
    return subprocess.run([SERIN, "lint", *options, "-"], input=text.encode(),
                          capture_output=True).returncode == 0


def agree(validator, text, good, *options):
    found = [e.message for e in validator.iter_errors(yaml.load(text, Loader))]
    expect((not found) == good, f"schema on {text!r}: {found}")
    expect(lint_ok(text, *options) == good, f"lint on {text!r}")


def described(part, path):
    """Every key says what it is."""
    for key, value in part.get("properties", {}).items() if isinstance(part, dict) else ():
        expect(isinstance(value.get("description"), str) and len(value["description"]) > 5,
               f"{path}.{key} has a description")
    for key, value in part.items() if isinstance(part, dict) else enumerate(part):
        if isinstance(value, (dict, list)):
            described(value, f"{path}.{key}")


plan, config = schema("plan"), schema("config")
described(plan.schema, "plan")
described(config.schema, "config")
files = glob.glob("deploy/plans/*.yaml")
expect(len(files) >= 3, "example plans are there")
for name in files:
    agree(plan, open(name, encoding="utf-8").read(), True)
agree(config, open("deploy/serin.yaml", encoding="utf-8").read(), True, "--config")
agree(config, "{}", True, "--config")

BASE = """id: a
cohorts: {canary: {v: "2", n: 2}, baseline: {v: "1"}}
metrics: [{name: errors, limit: 1%}]
"""
agree(plan, BASE, True)
for change in [
        ("id: a", "id: A"), ("id: a", "id: [a]"), ("id: a\n", ""), ("id: a", "id: a\nidd: 1"),
        ("id: a", "id: a\nstrict: yes"), ("id: a", "id: a\nwindow: 1 s"),
        ("id: a", "id: a\nwindow: skip"), ("id: a", "id: a\nrisk: {false_abort: 0.6}"),
        ("id: a", "id: a\nsteps: [{weight: 5}, {weight: 100%}]"),
        ("id: a", "id: a\nsteps: [{weight: 100%}]"), ("id: a", "id: a\nsteps: {}"),
        ("id: a", "id: a\ngates: {g: {quorum: 1}}"),
        ("id: a", "id: a\ncriteria: {min_requests: 1.5}"),
        ("id: a", "id: a\non: {timeout: promote}"), ("id: a", "id: a\nstrata: [[a]]"),
        ("id: a", "id: a\nschedule: {not_before: soon}"),
        ("limit: 1%", "limit: 2"), ("limit: 1%", "limit: {p98: 1s}"), ("limit: 1%", "mode: no"),
        ("limit: 1%", "share: '2'"), ("[{name: errors, limit: 1%}]", "[]"),
        ('{v: "2", n: 2}', "{}"), ('{v: "2", n: 2}', "[[a]]"),
        ('{v: "2", n: 2}', '{v: {suffix: "2"}}'), ('{v: "2", n: 2}', "{v: []}"),
        ("limit: 1%", "per: pod")]:
    agree(plan, BASE.replace(*change), False)
for change in [("id: a", "id: a\nwindow: auto"), ("id: a", "id: a\nwindow: 1.0s"),
               ("id: a", "id: a\nstrata: region"), ("limit: 1%", "abort_over: 1.25"),
               ("limit: 1%", "abort_over: 5%"), ("id: a", "id: a\nactuate: {target: edge}"),
               ("limit: 1%", "per: user"), ('{v: "2", n: 2}', '{v: [2, 3]}'),
               ('{v: "2", n: 2}', '{v: {prefix: "2."}}'), ('{v: "2", n: 2}', '{v: {regex: "2.*"}}'),
               ('id: a\ncohorts: {canary: {v: "2", n: 2}, baseline: {v: "1"}}',
                'id: a\nservice: s\ncohorts: {canary: "2", baseline: ["1", "0"]}')]:
    agree(plan, BASE.replace(*change), True)
for text in ["kafka: [a]", "inputs: [{format: json}]", "roles: []", "http: {port: 1}",
             "limits: {message: 4MB}", "log: {level: loud}", "flush: 200"]:
    agree(config, text, False, "--config")

sys.exit(1 if failures else 0)
