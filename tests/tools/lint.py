"""What the lint gates share: the file list, comment stripping, and how a finding is said.

A gate is `check_NAME [--root DIR]`. It prints one `file:line: what is wrong; what to do`
a finding and exits 1, or prints one line of what it looked at and exits 0. A gate that
looked at nothing fails as well.
"""

import argparse
import os
import re
import subprocess
import sys

SKIPPED = {".git", "__pycache__", ".cache", "corpus"}
TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def root_from_arguments(description, more=None):
    """Parsed arguments; .root is absolute."""
    parser = argparse.ArgumentParser(description=description)
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--root", default=os.path.join(here, "..", ".."))
    if more is not None:
        more(parser)
    arguments = parser.parse_args()
    arguments.root = os.path.realpath(arguments.root)
    return arguments


def _walk(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders
                            if f not in SKIPPED and not re.match(r"build(-|$)", f))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)


def files(root):
    """The project's files, relative to root: what git would know, else all of them."""
    if not os.path.exists(os.path.join(root, ".git")):
        return list(_walk(root))
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached",
         "--others", "--exclude-standard"],
        capture_output=True, check=True, text=True).stdout
    return sorted(f for f in set(listed.split("\0"))
                  if f and os.path.isfile(os.path.join(root, f)))


def sources(root, suffixes=(".c", ".h"), below=("",)):
    return [f for f in files(root)
            if f.endswith(suffixes) and f.startswith(tuple(below))]


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def blank(text, keep_strings=False):
    """C text with comments (and strings) replaced by spaces; lines stay where they are."""
    def space(match):
        piece = match.group(0)
        if keep_strings and piece[0] in "\"'":
            return piece
        return re.sub(r"[^\n]", " ", piece)
    return TOKEN.sub(space, text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


class Findings:
    """Collects findings and ends the program with the right code."""

    def __init__(self, gate):
        self.gate, self.found = gate, 0

    def add(self, name, line, message):
        self.found += 1
        print(f"{name}:{line}: {message}")

    def finish(self, looked_at, unit):
        if looked_at == 0:
            print(f"{self.gate}: found no {unit} to look at: wrong --root or not built?")
            sys.exit(1)
        if self.found:
            print(f"{self.gate}: {self.found} finding(s) in {looked_at} {unit}")
            sys.exit(1)
        print(f"{self.gate}: {looked_at} {unit}, nothing found")
