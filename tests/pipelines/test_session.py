"""Whether there is a Ray to connect to, found out in seconds."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import StringIO

import grpc
import pytest

from itkm_core.errors import StorageError
from pipelines import session
from pipelines.console import Console
from pipelines.session import probe, without_line


@contextmanager
def answering(answer: bytes | None) -> Iterator[str]:
    """The address of a server that sends `answer` to whoever connects and says something; None: nothing, ever."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                if answer is None:
                    ended.wait(10)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        thread.join()


@pytest.mark.parametrize("code", [None, grpc.StatusCode.UNAUTHENTICATED])
def test_ray_is_found_also_where_it_wants_a_token(code: grpc.StatusCode | None) -> None:
    def cluster_id(request: bytes, context: grpc.ServicerContext) -> bytes:
        if code is not None:
            context.abort(code, "no token")
        return b""

    service = "ray.rpc.NodeInfoGcsService"
    handler = grpc.unary_unary_rpc_method_handler(cluster_id)
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {"GetClusterId": handler})]
    )
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        probe(address)
        probe(f"ray://{address}")
        probe("auto")
    finally:
        server.stop(0).wait()


def test_a_grpc_server_of_something_else_is_not_ray() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        with pytest.raises(StorageError, match="what answers there is not Ray"):
            probe(address)
    finally:
        server.stop(0).wait()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "what answers there is not Ray"),
        (b"", "what answers there is not Ray"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "what answers there is not Ray"),
        (b"SSH-2.0-x\r\n", "what answers there is not Ray"),
    ],
)
def test_anything_else_is_one_line_within_seconds(answer: bytes | None, said: str) -> None:
    started = time.monotonic()
    with answering(answer) as address, pytest.raises(StorageError, match=said) as found:
        probe(address, seconds=0.3)
    assert time.monotonic() - started < 5
    assert f"the Ray cluster at {address}" in str(found.value)
    assert "unset RAY_ADDRESS to start a local Ray" in str(found.value)
    assert "\n" not in str(found.value)


def test_nobody_at_all_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    for wrong, said in (
        (address, "refused"),
        (f"ray://{address}", "refused"),
        ("no-such-host.invalid:6379", "no-such-host"),
        ("somewhere", "it is no HOST:PORT"),
        ("somewhere:port", "it is no HOST:PORT"),
        (":6379", "it is no HOST:PORT"),
    ):
        with pytest.raises(StorageError, match=said):
            probe(wrong, seconds=2)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (
            "validate_socket_filename failed: AF_UNIX path length cannot exceed 107 bytes: /x",
            "TMPDIR",
        ),
        ("[Errno 13] Permission denied: '/home/x/.ray'", "set HOME"),
        ("The object store needs more than /dev/shm has", "--shm-size"),
        ("Failed to bind to 0.0.0.0:6379: Address already in use", "port"),
        ("The current node timed out during startup", "cores busy"),
        ("something new", "logs"),
    ],
)
def test_the_advice_fits_what_ray_says(monkeypatch, said: str, advice: str) -> None:
    """The first two as Ray 2.60 says them; where HOME is /home/x."""
    monkeypatch.setenv("HOME", "/home/x")

    def init(**_: object) -> None:
        raise OSError(said)

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(session, "keep_token_private", lambda: None)
    monkeypatch.setattr(session.ray, "init", init)
    with pytest.raises(StorageError) as found, session.ray_session(Console(file=StringIO())):
        pass
    words = str(found.value)
    assert words.startswith(f"cannot connect to a local Ray: {said}. ")
    assert advice in words
    assert ("cores busy" in words) == (advice == "cores busy")


def test_a_line_of_rays_is_kept_off_stderr_and_no_other(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="own"), without_line("noise"):  # noqa: PT012
        os.write(2, b"before\nsome noise of it\n")
        os.write(2, b"after\n")
        raise ValueError("own")
    assert capfd.readouterr().err == "before\nafter\n"
    os.write(2, b"noise again\n")
    assert capfd.readouterr().err == "noise again\n"
