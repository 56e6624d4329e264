"""An S3 server on loopback (moto) that fails as real ones do: throttles, stalls once, and lists late."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

ACCESS_KEY, SECRET_KEY = "AKIAMADEUPFORTESTS00", "made-up-for-tests/not+a=secret0123456789"
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>"
_ENTRY = re.compile(rb"<Contents>.*?<Key>(.*?)</Key>.*?</Contents>", re.DOTALL)


class FlakyS3:
    """WSGI in front of moto. `counts`: what was asked of it and what it did.

    Every `throttle`-th request gets 503 SlowDown (0: none). A GET of a key with `stalls` in it is answered after
    `stall` seconds, once. Keys appear in listings `lag` seconds after they were put.
    """

    def __init__(self, throttle: int = 0, stalls: str = "", stall: float = 0.0, lag: float = 0.0):
        self.throttle, self.stalls, self.stall, self.lag = throttle, stalls, stall, lag
        self.counts: Counter[str] = Counter()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._put: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        query = parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
        with self._lock:
            self.counts["requests"] += 1
            refused = self.throttle and self.counts["requests"] % self.throttle == 0
            stalled = self.stalls and method == "GET" and self.stalls in path
            stalled = stalled and not self.counts["stalled"]
            self.counts["refused"] += bool(refused)
            self.counts["stalled"] += bool(stalled and not refused)
        if refused:
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [SLOW_DOWN]
        if stalled:
            time.sleep(self.stall)
        if "list-type" in query:
            return self._listing(environ, start, path.strip("/"))
        if method == "PUT" or "uploadId" in query:
            with self._lock:
                self._put.setdefault(path.strip("/"), time.monotonic())
        return self._moto(environ, start)

    def _listing(self, environ: dict[str, Any], start: Any, bucket: str) -> Iterable[bytes]:
        answer: list[Any] = []

        def keep(status: str, headers: list[tuple[str, str]], *rest: Any) -> None:
            answer[:] = [status, headers]

        body = b"".join(self._moto(environ, keep))

        def seen(entry: re.Match[bytes]) -> bytes:
            put = self._put.get(f"{bucket}/{entry[1].decode()}", 0.0)
            late = time.monotonic() - put < self.lag
            with self._lock:
                self.counts["left out of a listing"] += late
            return b"" if late else entry[0]

        body = _ENTRY.sub(seen, body)
        kept = [pair for pair in answer[1] if pair[0].lower() != "content-length"]
        start(answer[0], [*kept, ("Content-Length", str(len(body)))])
        return [body]


@contextmanager
def serving(flaky: FlakyS3, bucket: str = "bucket") -> Iterator[str]:
    """Serve it with an empty bucket; yields `host:port`."""
    import boto3
    from moto.backends import get_backend

    get_backend("s3").reset()  # a process has one, whatever the server
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    server = make_server("127.0.0.1", 0, flaky, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"127.0.0.1:{server.server_port}"
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY}
    try:
        client = boto3.client(
            "s3", endpoint_url=f"http://{endpoint}", region_name="us-east-1", **keys
        )
        client.create_bucket(Bucket=bucket)
        yield endpoint
    finally:
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
