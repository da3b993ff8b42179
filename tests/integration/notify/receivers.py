"""Receivers for tests: an HTTP server that misbehaves as told, and a mail server.

Everything that was taken is kept in order; what was answered with an error is counted.
"""
import http.server
import json
import threading
import time


class Web:
    """answers: a list of statuses to give first, by path; 0 hangs up, None hangs. Then 2xx."""

    def __init__(self, answers=None):
        self.answers = {path: list(given) for path, given in (answers or {}).items()}
        self.taken, self.turned_away = [], []
        self.down = set()  # paths that always answer 503
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with outer.lock:
                    waiting = outer.answers.get(self.path)
                    status = waiting.pop(0) if waiting else 202
                    if self.path in outer.down:
                        status = 503
                    entry = (self.path, dict(self.headers), body, time.time())
                    good = status is not None and 200 <= status < 300
                    (outer.taken if good else outer.turned_away).append(entry)
                if status is None:
                    time.sleep(3)
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.send_header("Retry-After", "1")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path):
        """Bodies taken there, parsed, in order."""
        with self.lock:
            return [json.loads(body) for where, _, body, _ in self.taken if where == path]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Mail:
    """aiosmtpd; refuses the first `refusals` mails with 451."""

    def __init__(self, refusals=0):
        from aiosmtpd.controller import Controller  # of PyPI: see live.run_with
        self.taken, self.refused = [], 0
        outer = self

        class Keep:
            async def handle_DATA(self, _server, _session, envelope):
                if outer.refused < refusals:
                    outer.refused += 1
                    return "451 come back later"
                outer.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
                return "250 taken"

        import socket
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.controller = Controller(Keep(), hostname="127.0.0.1", port=self.port)
        self.controller.start()

    def stop(self):
        self.controller.stop()
