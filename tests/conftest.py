"""For `pytest -n`: which tests one process runs in a row, and what is made once for all processes."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

# What collecting loads stays to the end, and Python's collector would go through it again and again.
gc.disable()

# A busy machine must not fail an example for the time it took, and a run tries what the one before tried.
settings.register_profile("itkm", deadline=None, derandomize=True)
settings.load_profile("itkm")

ROOT = Path(__file__).parent.parent

# Most of what the tests on Ray cost is processes that start and import. Ray ends idle ones within a
# second and starts others; kept, they save a run a quarter of its processor time. Ray also makes its
# processes nice, so that beside busy ones, such as tests without Ray, they would hardly run.
os.environ |= {
    "RAY_idle_worker_killing_time_threshold_ms": "300000",
    "RAY_num_workers_soft_limit": "6",
    "RAY_worker_niceness": "0",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process for each training
    "OMP_WAIT_POLICY": "passive",  # torch's threads wait for each other without spinning
}

# Files that one process runs in a row. What takes longest comes first, so that none of it starts when
# everything else is done. The tests on `local_ray` share one, as each process would start its own.
LONGEST_FIRST = [
    [
        "tests/e2e/test_resume.py",
        "tests/e2e/test_output.py",
    ],  # with the corpus and the whole run of all e2e
    [
        "tests/pipelines/steps/test_extract.py",
        "tests/pipelines/label/test_corpus.py",
        "tests/pipelines/label/test_corpus_tasks.py",
        "tests/pipelines/ingest/test_make.py",
        "tests/pipelines/ingest/test_cuts.py",
        "tests/pipelines/steps/test_label_spans.py",
        "tests/pipelines/telemetry/test_handle.py",
        "tests/pipelines/training/test_failures.py",
        "tests/pipelines/doctor/test_command.py",
        "tests/pipelines/test_users_errors.py",
        "tests/pipelines/ablate/test_command.py",
        "tests/e2e/test_ablate.py",  # after the whole run
    ],
    ["tests/e2e/test_workers.py"],
    ["tests/e2e/test_jobs.py"],
    ["tests/e2e/test_nodes.py"],
    ["tests/pipelines/test_own_packages.py"],
    ["tests/itkm_core/clustering/test_footprint.py"],
    ["tests/itkm_core/learning/test_workers.py"],
    ["tests/itkm_core/learning/test_prompt_workers.py"],
]
PLACES = {
    ROOT / name: (unit, place)
    for unit, names in enumerate(LONGEST_FIRST)
    for place, name in enumerate(names)
}


# In a new checkout, what labels a group compiles for 20 s of the processor, and each process for itself if several
# begin at once.
COMPILE = """
from itkm_core.clustering import pseudo_label
from made import people
pseudo_label(people(40, dimension=16, noise=0.7), k1=8, k2=3, eps=0.5)
"""
compiling: list[subprocess.Popen[bytes]] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile while the first tests start their Ray."""
    if getattr(
        session.config.option, "numprocesses", None
    ):  # in the process that starts the others
        path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        compiling.append(subprocess.Popen([sys.executable, "-c", COMPILE], env=path))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    gc.unfreeze()
    for process in compiling:
        process.wait()


@pytest.hookimpl(tryfirst=True)  # before -m selects by mark
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"local_ray", "own_ray"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("ray")
    gone = [str(path) for path in PLACES if not path.exists()]
    assert not gone, f"LONGEST_FIRST in tests/conftest.py names files that are not there: {gone}"
    items.sort(key=lambda item: PLACES.get(item.path, (len(LONGEST_FIRST), 0)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadScopeScheduling

    class ByUnit(LoadScopeScheduling):
        """In the order in which they were collected: run it with --no-loadscope-reorder."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return str(PLACES[path][0] if (path := config.rootpath / file) in PLACES else file)

    return ByUnit(config, log)


@pytest.fixture(scope="session")
def once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str, Callable[[Path], object]], Path]:
    """once(name, make) -> a folder that make(folder) filled, in one of the processes of `pytest -n`.

    The others wait for it. Nobody may change what is in it.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of all processes of this session

    def made(name: str, make: Callable[[Path], object]) -> Path:
        folder = base / name
        with FileLock(f"{folder}.lock"):
            if not (base / f"{name}.done").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                (base / f"{name}.done").touch()
        return folder

    return made


@pytest.fixture(scope="session")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A local Ray of 2 CPUs for the session, with token authentication and a HOME of its own.

    A bare `ray.init` would write a token to the user's HOME, and later tests would depend on it.
    """
    import ray

    assert not ray.is_initialized(), "a test started a Ray of its own and left it running"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        # Ray reads the mode when it is imported, which may have been long ago. Left unset, `ray.init`
        # turns token authentication on, for this process too. Set and then taken away, the patch also
        # undoes what `ray.init` sets.
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.delenv("RAY_AUTH_MODE")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Its workers import the tests' modules, and so what those import.
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
            patch.delenv(name, raising=False)
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=150 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        yield
        ray.shutdown()
