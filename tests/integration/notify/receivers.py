"""Receivers for tests: an HTTP server that misbehaves as told, and a mail server.

Everything that was taken is kept in order; what was answered with an error is counted.
"""
import http.server
import json
import ssl
import threading
import time


class Web:
    """answers: a list of statuses to give first, by path; 0 hangs up, None hangs; a pair is a
    status and its Retry-After. Then 2xx."""

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
                    status, later = status if isinstance(status, tuple) else (status, None)
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
                if later is not None:
                    self.send_header("Retry-After", str(later))
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
    """aiosmtpd; refuses the first `refusals` mails with 451. With a certificate (its file and
    its key's) nothing is taken but over STARTTLS and from `login`, a name and a password."""

    def __init__(self, refusals=0, certificate=None, login=None):
        from aiosmtpd.controller import Controller  # of PyPI: see live.run_with
        from aiosmtpd.smtp import AuthResult
        self.taken, self.refused = [], 0
        self.logins = []  # (mechanism, name and password as sent)
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
        more = {}
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            more = {"tls_context": context, "require_starttls": True}

        def authenticate(_server, _session, _envelope, mechanism, data):
            self.logins.append((mechanism, data.login.decode(), data.password.decode()))
            return AuthResult(success=self.logins[-1][1:] == login)

        # Without TLS it offers a login all the same: nobody may fall for it.
        self.controller = Controller(Keep(), hostname="127.0.0.1", port=self.port,
                                     authenticator=authenticate, auth_required=login is not None,
                                     auth_require_tls=certificate is not None, **more)
        self.controller.start()

    def stop(self):
        self.controller.stop()
