"""A server between a command and an object store that goes wrong as it is told."""

import contextlib
import http.client
import threading
from dataclasses import dataclass, field
from typing import Callable, List, Optional, Tuple
from urllib.parse import urlsplit

from serving import QuietHandler, serving


@dataclass
class Rule:
    """What goes wrong, with which requests.

    Attributes:
        status: to answer instead.
        after: bytes of the body after which the connection ends (or stalls, or the body does).
        how: ``cut``, ``stall`` or ``end`` (a shorter body that claims to be whole).
        times: how often; always when None.
        method: of the requests.
        path: a part of theirs.
        header: one that they have.
    """

    status: Optional[int] = None
    after: Optional[int] = None
    how: str = "cut"
    times: Optional[int] = 1
    method: str = "GET"
    path: str = ""
    header: str = ""


@dataclass
class Proxy:
    """The proxy's address, its rules, and the requests that came.

    Attributes:
        meanwhile: (method, part of a path, action): what happens before such a request, once.
        on_stall: what happens when a connection stalls.
        ignores_conditions: whether the server knows none, and does not say so.
    """

    address: str = ""
    rules: List[Rule] = field(default_factory=list)
    requests: list = field(default_factory=list)  # (method, path, headers)
    stalled: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    meanwhile: Optional[Tuple[str, str, Callable[[], None]]] = None
    ignores_conditions: bool = False
    on_stall: Callable[[], None] = lambda: None

    def fail(self, **rule):
        """Add a rule."""
        self.rules.append(Rule(**rule))

    def rule_for(self, method, path, headers):
        with self.lock:
            for rule in self.rules:
                fits = rule.method == method and rule.path in path
                if fits and (rule.header in headers or not rule.header) and rule.times != 0:
                    if rule.times is not None:
                        rule.times -= 1
                    return rule
        return None

    def ranges(self):
        """The Range headers of all downloads, in order."""
        return [h.get("Range") for m, p, h in self.requests if m == "GET" and "list-type" not in p]


ANYONE = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20200101/auto/s3/aws4_request"}


@contextlib.contextmanager
def proxy_to(upstream):
    """A proxy on loopback in front of the server at ``upstream``."""
    proxy = Proxy()
    host = urlsplit(upstream).netloc

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Expect", "").lower() == "100-continue":
                pass  # http.server has answered it
            with proxy.lock:
                proxy.requests.append((self.command, self.path, dict(self.headers)))
            rule = proxy.rule_for(self.command, self.path, self.headers)
            if rule is not None and rule.status is not None:
                return self.answer(rule.status, [("Content-Length", "0")], b"", self.command)
            method, part, action = proxy.meanwhile or ("", "", None)
            if self.command == method and part in self.path:
                proxy.meanwhile = None
                action()
            last = self.command == "POST" and "uploadId" in self.path
            # moto knows conditions of PutObject, but not of CompleteMultipartUpload.
            if last and "If-None-Match" in self.headers and not proxy.ignores_conditions:
                question = http.client.HTTPConnection(host, timeout=60)
                question.request("HEAD", self.path.partition("?")[0], headers=ANYONE)
                if question.getresponse().status == 200:
                    return self.answer(412, [("Content-Length", "0")], b"", self.command)
            connection = http.client.HTTPConnection(host, timeout=60)
            connection.putrequest(self.command, self.path, True, True)
            left_out = ["connection", "expect"]
            left_out += ["if-none-match"] if proxy.ignores_conditions else []
            for name, value in self.headers.items():
                if name.lower() not in left_out:
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
            headers = [
                (name, value)
                for name, value in response.getheaders()
                if name.lower() not in ("connection", "transfer-encoding", "date", "server")
            ]
            if not any(name.lower() == "content-length" for name, _ in headers):
                headers.append(("Content-Length", str(len(content))))
            if rule is not None and rule.how == "end":
                content = content[: rule.after]
                headers = [(n, v) for n, v in headers if n.lower() != "content-length"]
                headers.append(("Content-Length", str(len(content))))
                rule = None
            if rule is None:
                return self.answer(response.status, headers, content, self.command)
            self.answer(response.status, headers, content[: rule.after], self.command)
            self.wfile.flush()
            if rule.how == "stall":
                proxy.stalled.set()
                proxy.on_stall()
                proxy.release.wait(60)
            self.close_connection = True

        def answer(self, status, headers, content, method):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            if method != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

    with serving(Handler) as proxy.address:
        try:
            yield proxy
        finally:
            proxy.release.set()
