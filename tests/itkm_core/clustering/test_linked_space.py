"""Labels from units: what images get, and that nothing known changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made import people, unit
from sklearn.metrics import adjusted_rand_score

from itkm_core.clustering.auto_eps import label_rows, sweep_rows
from itkm_core.clustering.link_errors import LinkErrors, errors_of, halves, link_errors
from itkm_core.clustering.linked_space import label_space
from itkm_core.clustering.options import LabelOptions
from itkm_core.clustering.pseudo_labels import pseudo_label
from itkm_core.errors import LabelError
from itkm_core.links import Links, tracker_links, unit_vectors
from itkm_core.neighbors.workers import Threads

NOTHING = np.zeros((0, 2), np.int64)


def tracked(seed=0, num_people=12, cameras=3, frames=6, noise=0.5):
    """Features [N, D] of people who walk through every camera, two at a time; (camera, tracklet, frame), person."""
    rng = np.random.default_rng(seed)
    person, camera = (a.ravel() for a in np.indices((num_people, cameras)))
    tracklet = np.arange(len(person))
    vectors = 2 * rng.normal(size=(num_people, 32))[person] + rng.normal(size=(cameras, 32))[camera]
    start = frames * (person // 2)
    of = np.repeat(tracklet, frames)
    rows = unit(vectors[of] + noise * rng.normal(size=(len(of), 32)))
    known = camera[of], tracklet[of], start[of] + np.tile(np.arange(frames), len(tracklet))
    return rows, known, person[of]


def test_units_are_labelled_and_their_images_share_what_they_get():
    rows, known, person = tracked()
    links = tracker_links(*known)
    found = label_space(rows, LabelOptions(k1=3, k2=1, eps=0.7), links=links).labels_at(0.7)
    for of_unit in range(links.num_units):
        mine = links.unit_of == of_unit
        for values in (found.labels, found.is_core, found.confidence):
            assert len(set(values[mine].tolist())) == 1
    assert found.num_clusters == len(set(person.tolist()))
    assert len(set(zip(found.labels.tolist(), person.tolist(), strict=True))) == found.num_clusters
    assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
    assert found.labels[0] == 0
    assert found.neighbors.shape == (links.num_units, 3)
    assert found.parameters["num_units"] == links.num_units
    assert found.parameters["num_images"] == len(rows)
    plain = pseudo_label(unit_vectors(rows, links.unit_of), k1=3, k2=1, eps=0.7, min_samples=1)
    assert len(set(zip(found.labels, plain.labels[links.unit_of], strict=True))) == 12


def test_permuted_rows_and_more_workers_give_the_same_labels():
    rows, known, _ = tracked(noise=2.0)
    options, ids = LabelOptions(k1=8, k2=2, eps=0.7), np.arange(len(rows))
    links = tracker_links(*known)
    expected = label_space(rows, options, sample_ids=ids, links=links).labels_at(0.7)
    order = np.random.default_rng(1).permutation(len(rows))
    moved = label_space(
        rows[order], options, sample_ids=ids[order], links=links.take(order), workers=Threads(2)
    ).labels_at(0.7)
    for name in ("labels", "is_core", "confidence"):
        assert getattr(moved, name).tobytes() == getattr(expected, name)[order].tobytes()
    both = expected.labels[np.unique(links.unit_of, return_index=True)[1]][links.apart]
    assert not ((both[:, 0] == both[:, 1]) & (both[:, 0] >= 0)).any()


def test_links_that_say_nothing_change_no_bit():
    rows = people(60, 5, 16, 0.5, 3)
    ids, options = np.arange(len(rows)), LabelOptions(k1=10, k2=3, eps=0.55)
    nothing = Links(np.arange(len(rows)), NOTHING)
    plain = label_rows(rows, ids, options, where="x").found
    linked = label_rows(rows, ids, options, where="x", links=nothing).found
    assert linked.labels.tobytes() == plain.labels.tobytes()
    assert linked.confidence.tobytes() == plain.confidence.tobytes()
    assert linked.parameters == plain.parameters
    # And units of one image each are the same clusters by the other path too.
    units = label_space(rows, options, links=replace(nothing, alone=1000)).labels_at(0.55)
    assert units.labels.tobytes() == plain.labels.tobytes()
    assert units.confidence.tobytes() == plain.confidence.tobytes()


def test_halves_follow_the_order_of_images():
    half_of, unit_of_half = halves(np.array([0, 1, 0, 0, 2, 1]))
    assert half_of.tolist() == [0, 1, 0, 2, 3, 4]
    assert unit_of_half.tolist() == [0, 1, 0, 2, 1]


def test_errors_count_pairs_apart_and_halves_apart():
    # Units 0 and 1 of two halves each, unit 2 of one; 0 and 1 are apart, and 1 and 2.
    of_half, apart = np.array([0, 0, 1, 1, 2]), np.array([[0, 1], [1, 2]])
    found = errors_of(np.array([5, 5, 5, -1, -1]), of_half, apart)
    assert found == LinkErrors(merge=(2 / 4 + 0) / 2, split=1 / 2)
    assert errors_of(np.array([0, 0, 1, 1, 2]), of_half, apart).total == 0
    assert errors_of(np.array([7] * 5), of_half, apart) == LinkErrors(1.0, 0.0)
    assert errors_of(np.array([0, 1]), np.array([0, 1]), NOTHING) == LinkErrors(None, None)


def test_errors_rise_where_labels_merge_and_where_they_split():
    rows, known, _ = tracked(noise=1.5)
    links, options = tracker_links(*known), LabelOptions(k1=8, k2=2, eps=0.5)
    values = (0.02, 0.5, 0.99)
    found = link_errors(rows, links, options, eps_values=values, workers=Threads(1))
    merge, split = ([getattr(found[8, eps], kind) for eps in values] for kind in ("merge", "split"))
    assert merge == sorted(merge)
    assert split == sorted(split, reverse=True)
    assert merge[-1] > 0.5 > merge[0]
    assert split[0] > 0.5 > split[-1]


def test_k1_and_eps_are_chosen_by_the_errors():
    rows, known, person = tracked(num_people=40, noise=1.0)
    links = tracker_links(*known)
    candidates = LabelOptions(
        k1=60, k2=2, k1_candidates=(5, 10, 60), eps="auto", eps_candidates=(0.1, 0.5, 0.7, 0.95)
    )
    ids = np.arange(len(rows))
    labelled = label_rows(rows, ids, candidates, where="x", links=links)
    parameters = labelled.parameters
    assert parameters["k1_asked"] == "auto"
    points = {
        (p["k1"], p["eps"]): p["merge_errors"] + p["split_errors"] for p in parameters["k1_points"]
    }
    assert len(points) == 12
    best = min(points.values())
    assert points[parameters["k1"], parameters["eps"]] == best < 0.2
    assert parameters["merge_errors"] + parameters["split_errors"] == best
    assert "the lowest sum" in labelled.reason
    assert parameters["k2"] == round(parameters["k1"] / 5)
    swept = sweep_rows(rows, ids, candidates, where="x", links=links)
    assert [point.errors is not None for point in swept.points] == [True] * 4
    assert swept.points[1].summary()["merge_errors"] == swept.points[1].errors.merge
    assert person.max() == 39


@pytest.mark.parametrize("links", [None, Links(np.repeat(np.arange(30), 2), NOTHING)])
def test_k1_is_not_chosen_without_tracklets_at_the_same_time(links):
    rows = unit(np.random.default_rng(0).normal(size=(60, 8)))
    options = LabelOptions(k1=10, k2=2, k1_candidates=(5, 10))
    with pytest.raises(LabelError, match=r"uvi/0: labels\.k1=auto chooses by tracklets"):
        label_rows(rows, np.arange(60), options, where="uvi/0", links=links)


def test_fewer_units_than_k1_and_no_images():
    rows, known, _ = tracked(num_people=2)
    with pytest.warns(UserWarning, match=r"6 units .* are fewer than k1 = 30: using k1 = 6"):
        found = label_space(rows, LabelOptions(eps=0.6), links=tracker_links(*known))
    assert found.parameters["k1"] == 30
    assert found.parameters["k1_used"] == 6
    empty = label_space(rows[:0], LabelOptions(eps=0.6), links=tracker_links([], [], []))
    assert empty.labels_at(0.6).labels.shape == (0,)


def test_a_tracker_that_mixes_people_up_costs_some_labels_and_shows_in_the_errors():
    options = LabelOptions(k1=3, k2=1, eps=0.7)
    ari, errors = [], []
    for share in (0.0, 0.15, 0.6):
        rows, (camera, tracklet, frame), person = tracked(num_people=60, noise=0.5)
        # People who are in the camera together: their tracklets swap for the second half.
        rng = np.random.default_rng(0)
        starts = np.flatnonzero(np.diff(tracklet, prepend=-1))
        mate = {
            (camera[at], person[at]): (camera[at], person[at] ^ 1)
            for at in starts
            if person[at] < 60
        }
        number = {(camera[at], person[at]): tracklet[at] for at in starts}
        for one, other in mate.items():
            if one < other and rng.random() < share:
                for here, there in ((one, other), (other, one)):
                    mine = np.flatnonzero((camera == here[0]) & (person == here[1]))[3:]
                    tracklet[mine] = number[there]
        links = tracker_links(camera, tracklet, frame)
        labelled = label_rows(rows, np.arange(len(rows)), options, where="x", links=links)
        labels = labelled.found.labels
        ari.append(
            adjusted_rand_score(person, np.where(labels < 0, -1 - np.arange(len(labels)), labels))
        )
        errors.append(labelled.parameters["merge_errors"] + labelled.parameters["split_errors"])
    assert ari[0] > 0.9
    assert ari[0] > ari[1] > ari[2]
    assert ari[1] > 0.5
    assert errors[0] < errors[1] < errors[2]
