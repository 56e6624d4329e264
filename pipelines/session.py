"""How the command line uses Ray. Nothing else in itkm starts or stops one."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import ray

from itkm_core.errors import StorageError
from pipelines.console import Console
from pipelines.own_packages import for_workers
from pipelines.signals import heed_sigterm, interrupt


@contextmanager
def ray_session(console: Console) -> Iterator[None]:
    """A Ray connection for the block: to the cluster of RAY_ADDRESS if set, else to a new local Ray.

    A local Ray has token authentication on and its dashboard on loopback, and is shut down at the end. From a
    cluster the session only disconnects. After an exception neither happens: the process is to end at once
    (`os._exit`), which ends a local Ray, or the work on a cluster, as well.
    """
    address = os.environ.get("RAY_ADDRESS")
    if address == "local":  # Ray's own word for a new one
        address = None
    # Without these every run prints notes on a default that is about to change and on usage reports.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray Data logs an error, with a traceback, beside raising it.
    os.environ.setdefault("RAY_DATA_LOG_LEVEL", "CRITICAL")
    if address:
        # For /api/train/v2/runs/v1 of the dashboard. Costs an actor of 0.7 GB on the head, which outlives the run.
        os.environ.setdefault("RAY_TRAIN_ENABLE_STATE_TRACKING", "1")
    else:
        # How often the controller of a training polls its workers, and so how late it notices the end. Ray's
        # default of 2 s adds about 3 s to a round (measured); a poll takes milliseconds. Not on a cluster: polls of
        # many workers would soon fill the dashboard, which keeps a job's newest 10,000 tasks.
        os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.2")
        # A process a training, which waits for a cluster to take this machine back.
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        # Every process that ends leaves its log, and those that do not write on: 0.3 MB a round (measured).
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "warning")
        os.environ.setdefault("RAY_LOGGER_LEVEL", "warning")
        # Ray Train's own, two files a training, are two thirds of what is then left.
        os.environ.setdefault("RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING", "0")
        os.environ.setdefault("RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING", "0")
    # Of a corpus so small that there are more encoders than blocks, which costs nothing.
    warnings.filterwarnings("ignore", "The minimum number of concurrent actors", UserWarning)
    if address:
        probe(address)
    runtime_env = for_workers()
    where = f"the Ray cluster at {address}" if address else "a local Ray"
    console.print(f"Connecting to {where} ...")
    try:
        if address:
            context = ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=runtime_env,
            )
        else:
            keep_token_private()
            with without_line("Set ray log level from environment"):
                context = ray.init(
                    address="local",
                    include_dashboard=True,
                    dashboard_host="127.0.0.1",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    object_store_memory=_object_store_bytes(),
                    runtime_env=runtime_env,
                )
            _have_restarts_noted()
    except SystemExit:  # SIGTERM, while the handler that `ray.init` sets was in place
        interrupt()
    except Exception as error:  # Ray raises a bare one if its dashboard is not up in time
        said = str(error).rstrip(".")
        advice = "Check RAY_ADDRESS, or unset it to start a local Ray" if address else _advice(said)
        raise StorageError(f"cannot connect to {where}: {said}. {advice}") from error
    heed_sigterm()
    if context.dashboard_url:
        console.print(
            f"Ray dashboard: http://{context.dashboard_url} (`ray get-auth-token` prints its token)"
        )
    try:
        yield
    except BaseException:
        if not address:
            _forget_spilled(context.address_info["session_dir"])
        raise
    # Not after an exception: threads may still be waiting for Ray then. They cannot be stopped, and if Ray is shut
    # down under them it crashes, or starts or connects again.
    ray.shutdown()


def _advice(said: str) -> str:
    """What to do about a local Ray that does not start, from what it says."""
    home = os.environ.get("HOME")
    if "AF_UNIX path length" in said:
        return "Its temporary folder has too long a name: set TMPDIR to a short one, such as /tmp"
    if home and home in said:
        return "It needs a home folder to write to: set HOME to one"
    if "/dev/shm" in said:
        return "Shared memory is too small for it: give the container more, as by docker run --shm-size=2g"
    if "in use" in said:
        return "A port that it wants is taken: end the process that has it, and try again"
    if "timed out" in said or "timeout" in said.lower():
        return "A machine with all cores busy can be too slow for Ray's own time limits; try again"
    return "Its logs are in /tmp/ray/session_latest/logs, or below TMPDIR"


def probe(address: str, seconds: float = 5.0) -> None:
    """Find out whether Ray answers at an address: `ray.init` would try for a quarter of an hour.

    Raises:
        StorageError: nobody does, or somebody else.
    """
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None:
        if address != "auto":  # which Ray looks up on this machine
            raise _unreachable(address, "it is no HOST:PORT")
        return
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError as error:
        said = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise _unreachable(address, said) from error
    if parts.scheme or os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return  # Ray's client, and its certificates, have ways of their own
    with grpc.insecure_channel(parts.netloc, [("grpc.enable_http_proxy", 0)]) as channel:
        cluster = channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")
        try:
            cluster(b"", timeout=seconds)
        except grpc.RpcError as error:
            # A cluster with tokens refuses a caller without one, and does answer.
            if error.code() not in (
                grpc.StatusCode.UNAUTHENTICATED,
                grpc.StatusCode.PERMISSION_DENIED,
            ):
                raise _unreachable(address, "what answers there is not Ray") from error


def _unreachable(address: str, why: str) -> StorageError:
    return StorageError(
        f"cannot connect to the Ray cluster at {address}: {why}. Check RAY_ADDRESS and that the cluster is up, or "
        "unset RAY_ADDRESS to start a local Ray"
    )


@contextmanager
def without_line(said: str) -> Iterator[None]:
    """Keep the lines with `said` in them off this process' stderr; the others come at the end of the block.

    For what Ray's C++ code prints and no setting turns off.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with tempfile.TemporaryFile() as held:
            os.dup2(held.fileno(), 2)
            try:
                yield
            finally:
                sys.stderr.flush()
                os.dup2(stderr, 2)
                held.seek(0)
                for line in held:
                    if said.encode() not in line:
                        os.write(2, line)
    finally:
        os.close(stderr)


def _have_restarts_noted() -> None:
    """Let Ray print a notice that every extraction would bring up, while it is held back.

    Ray Data's actors may restart and take arguments by reference, so Ray's C++ code prints an error line about
    lost arguments, once per process, that no setting turns off alone (ray-project/ray#57733). It does not apply:
    the driver holds those arguments, and work ends with it. An actor that no node can take brings the line up here.
    """

    class Restartable:
        def __init__(self, argument: None) -> None: ...

    actor_class = ray.remote(num_cpus=0, max_restarts=1, label_selector={"ray.io/node-id": "none"})(
        Restartable
    )
    argument = ray.put(None)
    with without_line("has constructor arguments in the object store and max_restarts"):
        actor = actor_class.remote(argument)
    ray.kill(actor)


def _forget_spilled(session: str) -> None:
    """Delete what a local Ray spilled to disk, pictures included: it stays when Ray's processes just end."""
    for folder in Path(session).glob("ray_spilled_objects*"):
        shutil.rmtree(folder, ignore_errors=True)


def _object_store_bytes() -> int:
    """A tenth of the memory, at most 2 GiB: blocks only pass through, and what large groups need beyond it spills."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(100 * 2**20, min(2 * 2**30, pages // 10))


def keep_token_private() -> None:
    """Close ~/.ray to other users: Ray writes its token there, in a file that anyone may read."""
    # HOME cannot be written to, or there is none: Ray reports it, or needs no file.
    with contextlib.suppress(OSError, RuntimeError):
        folder = Path.home() / ".ray"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
