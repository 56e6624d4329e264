"""A real Ray head with a token, its job API, and the lines of the page cluster_configs/jobs/README.md."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Head:
    """A Ray head, and its job API as a user has it: by `ray job`, and by HTTP where a test looks often."""

    environment: dict[str, str]
    url: str
    folder: Path  # of its sessions

    @property
    def token(self) -> str:
        return self.environment["RAY_AUTH_TOKEN"]

    def ray(
        self, words: list[str], *, cwd: Path = ROOT, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            cwd=cwd,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def submit(self, words: list[str], *, cwd: Path = ROOT) -> str:
        """Submit a job and return its id."""
        done = self.ray(words, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.token not in done.stdout + done.stderr
        found = re.search(r"ray job logs (raysubmit_\w+)", done.stdout)
        assert found is not None, done.stdout
        return found[1]

    def ask(self, path: str) -> Any:
        request = urllib.request.Request(
            self.url + path, headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def job(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"/api/jobs/{name}")
        return found

    @contextlib.contextmanager
    def following(self, name: str, file: Path) -> Iterator[subprocess.Popen[bytes]]:
        """`ray job logs -f` into a file; it ends by itself when the job has ended."""
        with file.open("wb") as log:
            process = subprocess.Popen(
                [str(BIN / "ray"), "job", "logs", "-f", name],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield process
                process.wait(timeout=120)
            finally:
                process.kill()
                process.wait(timeout=30)


def until(reached: Callable[[], bool], what: str, *, seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not in {seconds:.0f} s: {what}"
        time.sleep(0.1)


def free_ports(count: int) -> list[str]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in taken]


def shown(beginning: str, command: str = "") -> list[str]:
    """The words of the page's first line that begins so and has `command` in it."""
    return shlex.split(written(beginning, command))


def written(beginning: str, command: str = "") -> str:
    page = (ROOT / "cluster_configs/jobs/README.md").read_text()
    lines = [re.sub(r"\s+", " ", line.strip()) for line in page.replace("\\\n", "").splitlines()]
    return next(each for each in lines if each.startswith(beginning) and command in each)


def as_told(environment: dict[str, str]) -> dict[str, str]:
    """The variables that the page has a cluster's owner set for `ray start`."""
    names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
    line = written("export RAY_AUTH_MODE", "--generate")
    values = subprocess.run(
        ["bash", "-c", f"{line}; echo {' '.join(f'${name}' for name in names)}"],
        env={name: value for name, value in environment.items() if name not in names},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout.split()
    return dict(zip(names, values, strict=True))


@contextlib.contextmanager
def started_head(given: dict[str, str]) -> Iterator[Head]:
    """A head of two CPUs with a token, and with the driver's place that the page tells to give it."""
    port, dashboard, client = free_ports(3)
    folder = Path(tempfile.mkdtemp(prefix="itkm-"))  # sockets in it: its path must be short
    (folder / "home").mkdir()
    left_out = ("RAY_AUTH_TOKEN_PATH", "RAY_JOB_STOP_WAIT_TIME_S", "COLUMNS")
    environment = {
        **{name: value for name, value in given.items() if name not in left_out},
        "HOME": str(folder / "home"),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
    }
    environment |= as_told(environment)
    started = shown("ray start --head")
    places = f"--port {port} --dashboard-port {dashboard} --ray-client-server-port {client}"
    others = "--dashboard-agent-listen-port 0 --node-ip-address 127.0.0.1 --disable-usage-stats"
    small = f"--num-cpus 2 --object-store-memory {150 * 2**20} --temp-dir {folder} --block"
    with (folder / "head.log").open("wb") as log:
        process = subprocess.Popen(
            [str(BIN / "ray"), *started[1:], *f"{places} {others} {small}".split()],
            env={k: v for k, v in environment.items() if k != "RAY_API_SERVER_ADDRESS"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        made = Head(environment, f"http://127.0.0.1:{dashboard}", folder)
        try:

            def answers() -> bool:
                assert process.poll() is None, (folder / "head.log").read_text()
                with contextlib.suppress(urllib.error.URLError, ConnectionError):
                    return bool(made.ask("/api/version"))
                return False

            until(answers, "the head answers")
            yield made
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)  # after jobs it can take half a minute
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
            shutil.rmtree(folder, ignore_errors=True)
