"""Whether there is a Ray to connect to, found out in seconds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from itkm_core.errors import StorageError
from pipelines.session import probe


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


def test_a_server_that_speaks_grpc_may_be_ray() -> None:
    settings = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0]) + bytes(6)
    with answering(settings) as address:
        probe(address)
    with answering(settings) as address:
        probe(f"ray://{address}")
    probe("auto")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "no answer"),
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
