"""One driver in a process of its own (act_tool), and servers that misbehave on request."""
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import live  # noqa: E402

check = live.check


class Driver:
    def __init__(self, tool, settings):
        self.process = subprocess.Popen([tool, json.dumps(settings)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.place = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        check(line, "act_tool ended")
        return json.loads(line)

    def __call__(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def moves(self, bp, *more):
        """It applies, and reads back the same; twice, for nothing may depend on how often."""
        for _ in range(2):
            told = self("apply", bp, "shop/3", *more)
            check(told["ok"], told)
            told = self("read", bp)
            check(told["ok"] and told["weight_bp"] == (0 if more[:1] == ("stopped",) else bp),
                  told)

    def copies(self, bp):
        """So much is copied then, as the other side tells."""
        check(self("apply", 0, "shop/3", f"copy={bp}")["ok"], f"copy {bp}")
        check(self("read", 0)["ok"], "read")
        told = self("mirror", 0)
        check(told["ok"] and told["weight_bp"] == bp, told)

    def fails(self, words, *parts):
        """It says so, in words that hold these."""
        told = self(*words)
        check(not told["ok"], told)
        for part in parts:
            check(part in told["text"], f"{part!r} is not in {told['text']!r}")
        return told

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(20)
        check(code == 0, f"act_tool ended with {code}")


def refuses(tool, settings, *parts):
    """Settings that do not go together, or that lint does not take."""
    out = subprocess.run([tool, json.dumps(settings)], text=True, capture_output=True,
                         stdin=subprocess.DEVNULL, timeout=20, check=False)
    check(out.returncode in (1, 2), f"{settings} is taken: {out.stdout}{out.stderr}")
    for part in parts:
        check(part in out.stdout + out.stderr, f"{part!r} is not in {out.stdout}{out.stderr}")


class Server(http.server.ThreadingHTTPServer):
    """answer(method, path, headers, body) -> (status, text); what is queued in `next` comes
    first: such a pair, or "hang", "drop", "junk"."""
    daemon_threads = True

    def __init__(self, answer, certificate=None):
        self.answer, self.next, self.seen = answer, [], []
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            # The handshake is the connection's own thread's: a refusal stops nobody else.
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.released.set()
        self.shutdown()
        self.server_close()


    def handle_error(self, request, client_address):
        pass  # a client that hangs up, or trusts another certificate


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def serve(self):
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size).decode()
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        what = self.server.next.pop(0) if self.server.next else None
        if what == "hang":
            self.server.released.wait(20)
            return
        if what == "drop":
            self.connection.close()
            return
        if what == "junk":
            self.wfile.write(b"\x00\xffnot http at all\r\n\r\n")
            return
        status, text = what or self.server.answer(self.command, self.path, self.headers, body)
        text = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_PUT = serve
