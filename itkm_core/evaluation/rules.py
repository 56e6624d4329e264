"""What a protocol leaves out of a query's gallery, and how it counts ranks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What is left out of a query's gallery beside junk, and how the CMC counts.

    `same_camera`, `same_clothes`: images of the query's person by its camera, or in its clothes, where both are known
    (-1: unknown, equals none). `blind`: (query camera, gallery camera) never compared, whoever is in the picture, such
    as two cameras in one place. The default is Market-1501's rule (Zheng et al., ICCV 2015).

    `persons_once`: of each person only the first answer counts as a rank of the CMC, as in the code of SYSU-MM01 (Wu et
    al., ICCV 2017); each distractor is a person of its own [ours]. Average precision and inverse negative penalty are
    over images either way.
    """

    same_camera: bool = True
    same_clothes: bool = False
    blind: frozenset[tuple[int, int]] = frozenset()
    persons_once: bool = False


SAME_CAMERA = Rules()
