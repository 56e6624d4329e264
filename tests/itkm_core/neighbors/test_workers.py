"""Whoever computes the spans, and however the rows are cut, every bit is the same."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from itkm_core.clustering import LabelOptions, pseudo_label, sweep
from itkm_core.clustering.auto_eps import label_rows
from itkm_core.links import tracker_links
from itkm_core.neighbors import inverted, search
from itkm_core.neighbors.nearest import nearest
from itkm_core.neighbors.workers import Threads, joined, joined_each


@dataclass
class Sent:
    """Workers as tasks on other machines are: many spans, each with its own read-only copy of what it gets."""

    rows: int
    threads: int = 1
    device: str | None = None
    steps: list = field(default_factory=list)

    def share(self, array):
        return np.ascontiguousarray(array)

    def spans(self, step, num_rows, multiple, *arguments):
        size = -(-self.rows // multiple) * multiple
        self.steps.append((step.__name__, -(-num_rows // size)))
        found = []
        for start in range(0, num_rows, size):
            sent = [self._sent(each) for each in arguments]
            found.append(step(*sent, start, min(start + size, num_rows), self.threads))
        return found

    def _sent(self, argument):
        if not isinstance(argument, np.ndarray):
            return argument
        copy = argument.copy()
        copy.flags.writeable = False
        return copy


@pytest.fixture
def rows(make):
    """Four hundred images, some of them copies of others."""
    rows = make.people(50, 8, 16, 0.7, 5)
    rows[100:130] = rows[7]
    rows[300] = rows[12]
    return rows


@pytest.mark.parametrize("backend", ["faiss-flat", "torch", "ivf"])
@pytest.mark.parametrize("span", [1, 37, 300])
def test_labels_are_the_same_to_the_last_bit(rows, monkeypatch, backend, span):
    monkeypatch.setattr(inverted, "TOGETHER", 16)
    monkeypatch.setattr(inverted, "BLOCK_QUERIES", 16)
    monkeypatch.setattr("itkm_core.neighbors.lists.TOGETHER", 16)
    workers = Sent(span, threads=2)
    asked = {"k1": 12, "k2": 3, "eps": 0.5, "backend": backend, "recall": 0.9}
    expected = pseudo_label(rows, num_threads=1, **asked)
    found = pseudo_label(rows, workers=workers, **asked)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.is_core, expected.is_core)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    assert found.parameters == expected.parameters
    assert len(set(expected.labels)) > 10
    cut = {name for name, spans in workers.steps if spans > 1}
    search = {"_probed_lists", "_nearest_of_span"} if backend == "ivf" else {"_exact_lists"}
    steps = {"_ranks_of_span", "_sets_of_span", "_weights_of_span", "_means_of_span"}
    assert cut >= search | steps | {"_pairs_of_span"}


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_search_by_torch_on_a_device_is_the_search(rows, monkeypatch, device):
    searched = []

    def watched(*arguments):
        searched.append(arguments[3])
        return search_device(*arguments)

    search_device = search._search_device
    monkeypatch.setattr(search, "_search_device", watched)
    monkeypatch.setattr(search, "DEVICE_QUERIES", 64)
    monkeypatch.setattr(search, "DEVICE_ROWS", 50)
    asked = {"k1": 12, "k2": 3, "eps": 0.5}
    expected = pseudo_label(rows, backend="faiss-flat", **asked)
    for workers in (Threads(2, device), Sent(37, device=device)):
        found = pseudo_label(rows, workers=workers, **asked)
        assert found.parameters["backend_used"] == "torch"
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_allclose(found.confidence, expected.confidence, atol=1e-6)
    assert searched == [device, device]


def test_lists_and_a_sweep_take_workers_too(rows):
    lists, expected = nearest(rows, 9, workers=Sent(50)), nearest(rows, 9)
    np.testing.assert_array_equal(lists.indices, expected.indices)
    np.testing.assert_array_equal(lists.similarities, expected.similarities)
    asked = {"eps_values": (0.4, 0.5), "k1": 12, "k2": 3}
    assert sweep(rows, workers=Sent(50), **asked).points == sweep(rows, **asked).points


def test_labels_from_units_take_workers_too(rows):
    rng = np.random.default_rng(0)
    tracklet = np.repeat(np.arange(200), 2)[rng.permutation(len(rows))]
    links = tracker_links(np.zeros(400), tracklet, rng.integers(0, 300, 400))
    options = LabelOptions(
        k1=12, k2=3, k1_candidates=(6, 12), eps="auto", eps_candidates=(0.5, 0.7)
    )
    for span in (37, 300):
        expected, found = (
            label_rows(rows, np.arange(400), options, where="x", links=links, workers=workers)
            for workers in (Threads(1), Sent(span, threads=2))
        )
        assert found.parameters == expected.parameters
        for name in ("labels", "is_core", "confidence"):
            mine, theirs = getattr(found.found, name), getattr(expected.found, name)
            assert mine.tobytes() == theirs.tobytes()
    assert len(links.apart) > 50


def test_threads_are_one_span_without_a_copy():
    array = np.arange(10)
    threads = Threads(3)
    assert threads.share(array) is array
    (span,) = threads.spans(lambda a, start, stop, count: (a, start, stop, count), 10, 4, array)
    assert span[0] is array
    assert span[1:] == (0, 10, 3)
    assert joined([array]) is array
    np.testing.assert_array_equal(joined_each([(array[:4],), (array[4:],)])[0], array)


@pytest.mark.filterwarnings("ignore:.*fewer than k1")
@pytest.mark.parametrize("backend", ["torch", "ivf"])
@pytest.mark.parametrize(
    "images", ["one", "fewer than k1", "all equal", "two, by the thousand", "none alike"]
)
def test_awkward_images_are_labelled_by_any_workers(make, backend, images):
    some = make.people(50, 8, 16, 0.7, 5)
    rows = {
        "one": some[:1],
        "fewer than k1": some[:5],
        "all equal": np.repeat(some[:1], 3000, axis=0),
        "two, by the thousand": np.concatenate([some[:40], np.repeat(some[[0, 9]], 1500, axis=0)]),
        "none alike": make.unit(np.random.default_rng(0).standard_normal((300, 64))),
    }[images]
    asked = {"k1": 12, "k2": 3, "eps": 0.5, "backend": backend}
    expected = pseudo_label(rows, num_threads=1, **asked)
    found = pseudo_label(rows, workers=Sent(700), **asked)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.is_core, expected.is_core)
    if images == "all equal":
        assert found.num_clusters == 1
        assert found.is_core.all()
