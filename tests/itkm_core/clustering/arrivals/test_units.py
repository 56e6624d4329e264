"""Tracklets that arrive later: units among known units, and cannot-links among the new ones."""

from __future__ import annotations

import numpy as np
import pytest
from made import unit

from itkm_core.clustering.arrivals.label import Known, label_arrivals
from itkm_core.clustering.linked_space import label_space
from itkm_core.clustering.options import LabelOptions
from itkm_core.links import Links, tracker_links, unit_vectors

OPTIONS = LabelOptions(k1=4, k2=1, eps=0.7)


def walks(seed, person, frames=5, noise=0.3):
    """Features of a tracklet of each person, and the tracklet of each image."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 24))[np.repeat(person, frames)]
    noise = noise * np.random.default_rng(seed).normal(size=vectors.shape)
    return unit(vectors + noise), np.repeat(np.arange(len(person)), frames)


def known_units(person):
    rows, tracklet = walks(1, person)
    links = tracker_links(np.zeros_like(tracklet), tracklet, np.full_like(tracklet, -1))
    found = label_space(rows, OPTIONS, links=links).labels_at(OPTIONS.eps)
    _, first, frames = np.unique(links.unit_of, return_index=True, return_counts=True)
    vectors = unit_vectors(rows, links.unit_of)
    of_units = found.labels[first], found.is_core[first]
    return Known(first, vectors, found.neighbors, *of_units, frames), found, len(rows)


def test_new_tracklets_join_known_people_or_are_new_ones():
    known, found, num = known_units(np.repeat(np.arange(10), 3))
    person = np.array([3, 7, 20, 21, 3])
    rows, tracklet = walks(2, person)
    links = tracker_links(np.zeros_like(tracklet), tracklet, np.full_like(tracklet, -1))
    ids = num + np.arange(len(rows))
    arrived = label_arrivals(known, rows, OPTIONS, sample_ids=ids, links=links)
    assert arrived.labels.reshape(5, 5).tolist() == [[3] * 5, [7] * 5, [10] * 5, [11] * 5, [3] * 5]
    assert arrived.parameters["num_known"] == num
    assert arrived.parameters["num_images"] == 25
    assert arrived.parameters["new_clusters"] == 2
    assert arrived.known.frames.tolist() == [5] * 35
    assert (arrived.confidence[10:20] == 1).all()  # alone, and sure of their own images
    assert found.num_clusters == 10
    # Rows in another order are the same images.
    order = np.random.default_rng(0).permutation(len(rows))
    moved = label_arrivals(
        known, rows[order], OPTIONS, sample_ids=ids[order], links=links.take(order)
    )
    assert moved.labels.tolist() == arrived.labels[order].tolist()
    assert moved.confidence.tobytes() == arrived.confidence[order].tobytes()
    # What arrives next finds them: another tracklet of person 20.
    again, one = walks(3, np.array([20]))
    more = label_arrivals(
        arrived.known, again, OPTIONS, links=Links(one, np.zeros((0, 2), np.int64))
    )
    assert set(more.labels.tolist()) == {10}


def test_two_new_tracklets_in_one_frame_never_share_a_cluster():
    known, _, num = known_units(np.repeat(np.arange(10), 3))
    rows, tracklet = walks(2, np.array([3, 3, 3, 30, 30]))
    at_once = np.tile(np.arange(5), 5)
    links = tracker_links(np.zeros_like(tracklet), tracklet, at_once)
    assert len(links.apart) == 10
    arrived = label_arrivals(known, rows, OPTIONS, links=links)
    labels = arrived.labels.reshape(5, 5)[:, 0].tolist()
    assert len(set(labels)) == 5
    assert labels.count(3) == 1
    assert sorted(labels) == [3, 10, 11, 12, 13]
    assert num == 150


@pytest.mark.parametrize(("frames", "label"), [(3, -1), (4, 10)])
def test_a_new_tracklet_alone_needs_frames(frames, label):
    known, _, _ = known_units(np.repeat(np.arange(10), 3))
    rows, tracklet = walks(2, np.array([30]), frames)
    arrived = label_arrivals(
        known, rows, OPTIONS, links=Links(tracklet, np.zeros((0, 2), np.int64))
    )
    assert set(arrived.labels.tolist()) == {label}


def test_known_images_may_be_no_units():
    rows, _ = walks(1, np.repeat(np.arange(10), 3), frames=1)
    plain = label_space(rows, OPTIONS).labels_at(OPTIONS.eps)
    known = Known(np.arange(30), rows, plain.neighbors, plain.labels, plain.is_core)
    new, tracklet = walks(2, np.array([2, 30]))
    links = Links(tracklet, np.zeros((0, 2), np.int64))
    arrived = label_arrivals(known, new, OPTIONS, links=links)
    assert arrived.known.frames.tolist() == [1] * 30 + [5, 5]
    assert len(set(arrived.labels[:5].tolist())) == len(set(arrived.labels[5:].tolist())) == 1
    assert arrived.parameters["num_known"] == 30
