import subprocess
import sys

import pytest

from itkm_core.clustering import footprint, pseudo_label
from itkm_core.clustering.footprint import check_memory, estimate_memory, free_memory
from itkm_core.errors import LabelError

ASKED = {"k1": 30, "k2": 6}


def test_memory_grows_with_images_lists_and_copies():
    base = estimate_memory(100_000, 128, **ASKED)
    rest = base - footprint.LIBRARIES
    assert estimate_memory(200_000, 128, **ASKED, backend="torch") == base + rest
    assert estimate_memory(100_000, 128, k1=60, k2=6) > base + 0.8 * rest
    assert estimate_memory(100_000, 128, **ASKED, copies=2) == base + 4 * 128 * 100_000
    assert estimate_memory(100_000, 128, **ASKED, divided=True) > base
    wide = {**ASKED, "backend": "ivf"}
    assert estimate_memory(100_000, 2048, **wide) > estimate_memory(100_000, 2048, **ASKED)


MEASURE = """
import sys
from pathlib import Path
import numpy as np
from itkm_core.clustering import pseudo_label
from itkm_core.clustering.footprint import estimate_memory
kind, backend = sys.argv[1], sys.argv[2]
num, dimension = 30_000, 32
rng = np.random.default_rng(0)
noise = {"people": 0.4, "cloud": 3.0}[kind]
rows = np.repeat(rng.standard_normal((num // 15, dimension), dtype=np.float32), 15, axis=0)
rows += noise * rng.standard_normal(rows.shape, dtype=np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
pseudo_label(rows[:500], k1=30, k2=6, backend=backend, num_threads=1)

def resident(what):
    (line,) = (each for each in open("/proc/self/status") if each.startswith(what))
    return int(line.split()[1]) * 1024

Path("/proc/self/clear_refs").write_text("5")  # reset the peak: compiling kernels took more
before = resident("VmRSS")
pseudo_label(rows, k1=30, k2=6, backend=backend, num_threads=1)
print(resident("VmHWM") - before, estimate_memory(num, dimension, k1=30, k2=6, backend=backend, copies=0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("backend", ["torch", "ivf"])
@pytest.mark.parametrize(("kind", "most"), [("people", 2.5), ("cloud", 1.5)])
def test_the_estimate_is_above_what_is_used_and_near_it(kind, most, backend):
    """A cloud without people is what the factors are for (1.1 to 1.2 times what is used); people: 1.6 to 1.9."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, kind, backend], capture_output=True, text=True, check=True
    )
    used, estimate = map(int, done.stdout.split())
    estimate -= footprint.LIBRARIES
    assert used <= estimate + (64 << 20)
    assert used >= estimate / most


def test_what_cannot_fit_is_refused_before_any_work(make, monkeypatch):
    monkeypatch.setattr("itkm_core.clustering.pseudo_labels.free_memory", lambda: 10**6)
    monkeypatch.setattr("itkm_core.clustering.pseudo_labels.nearest", None)
    with pytest.raises(LabelError, match=r"labelling 40 images with k1 = 5 .* 0.0 GB .* labels.k1"):
        pseudo_label(make.people(10, 4, 8, 0.3, 0), k1=5, k2=2)


def test_nothing_is_refused_where_the_system_does_not_say():
    check_memory(10**18, None, num_images=5, k1=3)


def test_free_memory_is_that_of_the_container_where_it_is_less(monkeypatch):
    there = free_memory()
    assert there is None or there > 0
    facts = {
        "memory.max": "5000\n",
        "memory.current": "4000\n",
        "memory.stat": "anon 1500\ninactive_file 1200\nactive_file 800\nfile 2500\n",
    }
    monkeypatch.setattr(footprint, "_read", lambda name: facts.get(name, "max"))
    if there is not None:
        assert free_memory() == 3_000  # files that are only cached make room
