"""Which images of a cluster a batch takes where tracklets are known: as different as the cluster has them. [ours]

The frames of a tracklet are nearly one picture, and its label is the surest: a batch of them teaches
little. So a cluster's Q images are dealt to its cameras as evenly as these have images, what a camera
gets to its tracklets in the same way, and what a tracklet gets is taken at equal distances along it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Tracks:
    """Where and when images are from: `camera`, `tracklet` and `frame`, int64 [n], -1 unknown."""

    camera: Ints
    tracklet: Ints
    frame: Ints

    def rows(self, at: Ints | NDArray[np.bool_]) -> Tracks:
        """Those of some images."""
        return Tracks(self.camera[at], self.tracklet[at], self.frame[at])


@dataclass(frozen=True)
class Spread:
    """The images of a group's clusters by camera, tracklet and frame.

    Attributes:
        order: int64 [n], the images sorted by (cluster, camera, tracklet, frame).
        tracklets: int64 [T + 1], tracklet t is `order[tracklets[t]:tracklets[t + 1]]`.
        of_camera: int64 [C + 1], camera c's tracklets are `of_camera[c]` up to `of_camera[c + 1]`.
        of_cluster: int64 [K + 1], cluster k's cameras are `of_cluster[k]` up to `of_cluster[k + 1]`.
    """

    order: Ints
    tracklets: Ints
    of_camera: Ints
    of_cluster: Ints

    @classmethod
    def of(cls, starts: Ints, tracks: Tracks) -> Spread:
        """Sort the images of clusters.

        Args:
            starts: int64 [K + 1], cluster k holds images `starts[k]` up to `starts[k + 1]`.
            tracks: of the n images. One without a tracklet is a tracklet of its own.
        """
        num = len(tracks.camera)
        cluster = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        own = np.where(tracks.tracklet < 0, -1 - np.arange(num), tracks.tracklet)
        order = np.lexsort((tracks.frame, own, tracks.camera, cluster))
        new_camera = np.ones(num, bool)
        new_camera[1:] = np.diff(cluster[order]) != 0
        new_camera[1:] |= np.diff(tracks.camera[order]) != 0
        new_tracklet = new_camera.copy()
        new_tracklet[1:] |= np.diff(own[order]) != 0
        cameras = np.append(np.flatnonzero(new_camera), num)
        tracklets = np.append(np.flatnonzero(new_tracklet), num)
        return cls(
            order,
            tracklets,
            np.searchsorted(tracklets, cameras),
            np.searchsorted(cameras, starts),
        )

    def draw(self, clusters: Ints, num: int, rng: np.random.Generator) -> Ints:
        """int64 [len(clusters), num]: distinct images of each cluster, which must have as many."""
        quota = np.full(len(clusters), num)
        cameras, owner = _parts(self.of_cluster, clusters)
        sizes = (
            self.tracklets[self.of_camera[cameras + 1]] - self.tracklets[self.of_camera[cameras]]
        )
        quota = _dealt(quota, owner, sizes, rng)
        cameras, quota = cameras[quota > 0], quota[quota > 0]
        parts, owner = _parts(self.of_camera, cameras)
        sizes = self.tracklets[parts + 1] - self.tracklets[parts]
        quota = _dealt(quota, owner, sizes, rng)
        # Images floor((s + i * size) / quota), s one of 0 to size - 1: all of them as likely, none twice.
        shift = rng.integers(0, sizes)
        each = np.repeat(np.arange(len(parts)), quota)
        along = (shift[each] + _counted(quota) * sizes[each]) // quota[each]
        return self.order[self.tracklets[parts[each]] + along].reshape(len(clusters), num)


def _parts(bounds: Ints, owners: Ints) -> tuple[Ints, Ints]:
    """The parts `bounds[o]` up to `bounds[o + 1]` of every owner o, and each one's place in `owners`."""
    sizes = bounds[owners + 1] - bounds[owners]
    place = np.repeat(np.arange(len(owners)), sizes)
    return bounds[owners][place] + _counted(sizes), place


def _counted(sizes: Ints) -> Ints:
    """0 up to each size, one after the other."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def _dealt(quota: Ints, owner: Ints, sizes: Ints, rng: np.random.Generator) -> Ints:
    """[len(sizes)]: how many each part gives so that its owner gets its quota, as evenly as the sizes allow.

    quota: [len(quota)] of each owner. owner: [len(sizes)] ascending, whose part it is. Who gives one more is drawn.
    """
    most = np.minimum(sizes, quota[owner])
    part = np.repeat(np.arange(len(sizes)), most)
    # One from every part, then a second from every part, and so on, until there are enough.
    order = np.lexsort((rng.random(len(sizes))[part], _counted(most), owner[part]))
    part = part[order]
    place = _counted(np.bincount(owner[part], minlength=len(quota)))
    return np.bincount(part[place < quota[owner[part]]], minlength=len(sizes))
