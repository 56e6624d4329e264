import os
import subprocess
import sys

import numba
import pytest

from itkm_core.errors import ConfigError
from itkm_core.neighbors import kernels
from itkm_core.neighbors.kernels import kernel, map_blocks, scratch_block, thread_count


def add(a, b):
    return a + b


def test_no_folder_for_machine_code_costs_only_time(monkeypatch):
    njit = numba.njit

    def without_cache(*functions, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(*functions, **options)

    monkeypatch.setattr(numba, "njit", without_cache)
    assert kernel(add)(2, 3) == 5


def test_numba_still_has_the_cache_that_kernels_guard():
    compiled = numba.njit(cache=True)(add)
    cache = getattr(compiled, "_cache", None)
    assert hasattr(cache, "save_overload"), (
        "numba dropped Dispatcher._cache.save_overload, which kernels.kernel wraps so that a full disk does not end a "
        "run: find its successor before numba's upper bound in pyproject.toml is raised"
    )
    assert hasattr(cache, "disable"), "numba dropped Dispatcher._cache.disable: see above"


def test_a_full_disk_costs_only_time(monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", full)
    assert kernel(add)(2.0, 3.0) == 5


READ_ONLY = """
import numba.core.caching as caching
def refuse(self):
    raise OSError(30, "Read-only file system")
for kind in list(vars(caching).values()):
    if isinstance(kind, type) and issubclass(kind, caching._CacheLocator):
        kind.ensure_cache_path = refuse
import numpy as np
from itkm_core.neighbors import equal_rows
sizes = equal_rows.group_equal_rows(np.ones((3, 1), np.float32)).members.sizes
print(sizes, equal_rows._equal.stats.cache_path)
"""


def test_a_read_only_machine_groups_rows():
    run = subprocess.run(
        [sys.executable, "-c", READ_ONLY], capture_output=True, text=True, check=False
    )
    assert run.stdout.split() == ["[3]", "None"], run.stderr


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("2,4", 2), (" 1 ", 1)])
def test_threads_follow_omp_num_threads(monkeypatch, value, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert thread_count() == expected
    assert thread_count(7) == 7


@pytest.mark.parametrize("value", ["", "0", "many", "-2"])
def test_threads_are_the_usable_cores_otherwise(monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert thread_count() == 3


@pytest.mark.parametrize("request_", [0, -1, 1.5, True])
def test_a_request_for_no_threads_is_refused(request_):
    with pytest.raises(ConfigError, match="num_threads"):
        thread_count(request_)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("num_rows", [0, 1, 9, 10, 11])
def test_blocks_cover_the_rows_in_order(num_rows, threads):
    blocks = map_blocks(lambda a, b: list(range(a, b)), num_rows, 5, threads)
    assert [row for block in blocks for row in block] == list(range(num_rows))
    assert all(len(block) <= 5 for block in blocks)


def test_an_error_in_a_block_is_raised():
    def fail(start, stop):
        raise ValueError(start)

    with pytest.raises(ValueError, match="0"):
        map_blocks(fail, 10, 5, 2)


def test_cleared_arrays_stay_linear_in_the_rows():
    for num_rows in (1, 5000, 10**6, 10**8):
        assert -(-num_rows // scratch_block(num_rows)) <= 128
    assert kernels.scratch_block(10) >= 1
