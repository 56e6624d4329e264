"""Runs of the ablation side by side: each has a driver thread, and prints a line when it starts and when it ends."""

from __future__ import annotations

import io
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from itkm_core.storage.place import Place
from pipelines.console import Console
from pipelines.faults import users_error
from pipelines.secrets import without_secrets

LOG_WIDTH = 160


@dataclass(frozen=True)
class Job:
    """One run to do: its `number` of `total` in the table, its variant and seed, and the file of its log."""

    number: int
    total: int
    name: str
    seed: int
    log: Place

    @property
    def title(self) -> str:
        return f"run {self.number} of {self.total}  {self.name}, seed {self.seed}"


def side_by_side(
    jobs: Sequence[Job],
    work: Callable[[Job, Console], None],
    *,
    at_once: int,
    console: Console,
    on_end: Callable[[Job], str] = lambda job: "",
) -> dict[tuple[str, int], str]:
    """Do `work(job, log)` for all jobs in order, `at_once` at a time. Returns the errors of those that failed.

    A failed job does not stop the others. `on_end(job)`, called in the caller's thread, returns the text of a job's
    last line. The threads only wait for Ray, so Ctrl-C reaches the caller, and no job starts after it.
    """
    failures: dict[tuple[str, int], str] = {}
    started: dict[Job, float] = {}

    def drive(job: Job) -> None:
        started[job] = time.monotonic()
        _say(console, f"{job.title}: started, log in {job.log}")
        with log_console(job.log) as log:
            try:
                work(job, log)
            except Exception as error:
                log.print(f"error {_words(error)}")
                if users_error(error) is None:
                    told = without_secrets(traceback.format_exc())
                    log.print(told)
                raise

    pool = ThreadPoolExecutor(max_workers=at_once, thread_name_prefix="itkm-run")
    running: dict[Future[None], Job] = {pool.submit(drive, job): job for job in jobs}
    try:
        while running:
            ended, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in sorted(ended, key=lambda future: running[future].number):
                job = running.pop(future)
                seconds = f"{time.monotonic() - started[job]:.0f} s"
                error = future.exception()
                if error is None:
                    _say(console, f"{job.title}: done in {seconds}, {on_end(job)}".rstrip(", "))
                elif isinstance(error, Exception):
                    failures[job.name, job.seed] = _words(error)
                    words = failures[job.name, job.seed].partition("\n")[0]
                    _say(console, f"{job.title}: failed after {seconds}: {words}; see {job.log}")
                    on_end(job)
                else:
                    raise error
    finally:
        # A thread that waits for Ray cannot be stopped; it ends with the process.
        pool.shutdown(wait=False, cancel_futures=True)
    order = [(job.name, job.seed) for job in jobs]
    return {key: failures[key] for key in order if key in failures}


@contextmanager
def log_console(place: Place) -> Iterator[Console]:
    """A console that appends to this file: at once if it is local, otherwise when the console is closed."""
    if place.is_local:
        _, path = place.resolve()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "a", buffering=1, encoding="utf-8", errors="replace") as file:
            yield Console(file=file, width=LOG_WIDTH, color_system=None, force_terminal=False)
        return
    text = io.StringIO(place.read_bytes().decode(errors="replace") if place.exists() else "")
    text.seek(0, io.SEEK_END)
    try:
        yield Console(file=text, width=LOG_WIDTH, color_system=None, force_terminal=False)
    finally:
        place.write_bytes(text.getvalue().encode(errors="replace"))


def _words(error: Exception) -> str:
    """The message of an error; for a fault of ours also its type."""
    return without_secrets(str(users_error(error) or f"{type(error).__name__}: {error}"))


def _say(console: Console, line: str) -> None:
    console.print(line)
