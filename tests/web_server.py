"""A web server on loopback whose pages are functions, and which remembers what was asked."""

import contextlib
import hashlib
import http.server
import json
import threading
import time

import pytest


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.log.append((self.command, path, dict(self.headers)))
        self.server.find(path)(self)

    do_HEAD = do_POST = do_PUT = do_GET

    def start(self, code, headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def send(self, body):
        """Write a body, whose reader may have gone."""
        with contextlib.suppress(ConnectionError):
            if self.command != "HEAD":
                self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


class WebServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.log = {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def find(self, path):
        return self.pages.get(path, status(404))

    def handle_error(self, *_):
        """Quiet too: clients that hang up are what these tests are about."""

    def asked(self, path):
        """Headers of the requests that this page got, in their order."""
        return [headers for command, asked, headers in self.log if asked == path]


@pytest.fixture(name="server")
def server_fixture(monkeypatch):
    """A server that runs, and an environment that does not keep from asking it."""
    for name in ("HTTP_PROXY", "http_proxy", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    server = WebServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def left(path):
    """Names in the folder of a fetched file beside the file, its manifest and its lock."""
    ours = {path.name, f"{path.name}.manifest.json", f".{path.name}.lock"}
    return {p.name for p in path.parent.iterdir()} - ours if path.parent.is_dir() else set()


def file(body, *, tag=True, cut=None, pause=0, ranges=True, check=True, claim=0, **headers):
    """A page that gives a file.

    Args:
        body: the bytes.
        tag: whether there is an ETag.
        cut: after how many bytes the connection breaks, unless a part was asked for.
        pause: seconds between the first half and the second.
        ranges: whether parts can be had.
        check: whether `If-Range` is heeded.
        claim: bytes by which the length that is stated exceeds the true one.
        **headers: further headers of the answer, "_" for "-".
    """
    etag = f'"{hashlib.sha1(body).hexdigest()}"'

    def page(handler):
        wanted = handler.headers.get("Range", "bytes=0-") if ranges else "bytes=0-"
        if check and handler.headers.get("If-Range", etag) != etag:
            wanted = "bytes=0-"
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        answer = {"Content-Length": len(body) - start + claim}
        answer |= {"ETag": etag} if tag else {}
        answer |= {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if start else {}
        answer |= {name.replace("_", "-"): value for name, value in headers.items()}
        handler.start(206 if start else 200, answer)
        stop = cut if cut is not None and not start else len(body)
        half = (start + stop) // 2
        handler.send(body[start:half])
        time.sleep(pause)
        handler.send(body[half:stop])
        handler.close_connection = handler.close_connection or stop < len(body) or claim > 0

    return page


def status(code, body=b"no", **headers):
    """A page that gives nothing but a status."""

    def page(handler):
        answer = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.start(code, {"Content-Length": len(body), **answer})
        handler.send(body)

    return page


def reply(values, code=200, **headers):
    """A page that gives JSON."""
    return status(code, json.dumps(values).encode(), Content_Type="application/json", **headers)


def redirect(to):
    return status(302, b"", Location=to)


def sequence(*pages):
    """Each request gets the next page, and the last one from then on."""
    rest = list(pages)
    lock = threading.Lock()

    def page(handler):
        with lock:
            now = rest.pop(0) if len(rest) > 1 else rest[0]
        now(handler)

    return page
