"""How the command line meets Ray. The only place that starts or stops one."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from rich.console import Console

from itkm_core.errors import StorageError
from pipelines.signals import heed_sigterm, interrupt


@contextmanager
def ray_session(console: Console) -> Iterator[None]:
    """A Ray connection for the block: the cluster of RAY_ADDRESS if set, else a local Ray of its own.

    The local one keeps Ray's token authentication on and its dashboard on loopback, and is shut down at
    the end; of a cluster only the connection is closed. A block that an exception ends leaves both as they
    are, for the process to end at once (`os._exit`), which takes a local Ray and the work on a cluster with it.
    """
    address = os.environ.get("RAY_ADDRESS")
    # Without these Ray tells, in every run, of a default that is about to change and of usage reports.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "ERROR")
    if address:
        # At /api/train/v2/runs/v1 of the dashboard; costs an actor of 0.7 GB on the head, which outlives the run.
        os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "1")
    else:
        # The controller of a training looks at its workers this often, and so notices the end that late; Ray's
        # own 2 s cost every round about 3 s (measured), a look costs a few milliseconds. On a cluster looks at
        # many workers would soon be all of the newest 10,000 tasks, which is what the dashboard shows of a job.
        os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
    where = f"the Ray cluster at {address}" if address else "a local Ray"
    console.print(f"Connecting to {where} ...", highlight=False)
    try:
        if address:
            context = ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        else:
            keep_token_private()
            context = ray.init(
                address="local",
                include_dashboard=True,
                dashboard_host="127.0.0.1",
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=_object_store_bytes(),
            )
    except SystemExit:  # SIGTERM, while the handler that `ray.init` sets was the one
        interrupt()
    except Exception as error:  # Ray raises a bare one where its dashboard does not come up in time
        advice = (
            "Check RAY_ADDRESS, or unset it to start a local Ray"
            if address
            else "A machine with all cores busy can be too slow for Ray's own time limits; try again"
        )
        raise StorageError(f"cannot connect to {where}: {error}. {advice}") from error
    heed_sigterm()
    if context.dashboard_url:
        console.print(
            f"Ray dashboard: http://{context.dashboard_url} (asks for the token that "
            "`ray get-auth-token` prints)",
            highlight=False,
            soft_wrap=True,
        )
    try:
        yield
    except BaseException:
        if not address:
            _forget_spilled(context.address_info["session_dir"])
        raise
    # Not after an exception: threads may still wait for Ray then. They cannot be stopped, and Ray crashes or starts
    # anew (another local one, or another connection) when it is shut down under them.
    ray.shutdown()


def _forget_spilled(session: str) -> None:
    """Delete what a local Ray has spilled, pictures among it: the end of its processes leaves it."""
    for folder in Path(session).glob("ray_spilled_objects*"):
        shutil.rmtree(folder, ignore_errors=True)


def _object_store_bytes() -> int:
    """A tenth of the memory, 2 GiB at most: blocks pass through; what a large group's labels need beyond it spills."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(100 * 2**20, min(2 * 2**30, pages // 10))


def keep_token_private() -> None:
    """Close ~/.ray to others. Ray writes the token there in a file that everybody may read."""
    folder = Path.home() / ".ray"
    with contextlib.suppress(
        OSError
    ):  # a HOME that cannot be written: Ray says so, or needs no file
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
