"""Random numbers that belong to a row, not to a process: a 64-bit key, and draws from it.

Any worker that holds a row's key draws the same numbers for it, whatever else is in its batch. The
mixing function is splitmix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def row_keys(parts: tuple[int, ...], num_rows: int) -> Keys:
    """uint64 [num_rows]: distinct keys, a pure function of `parts` (not negative) and the row."""
    return sample_keys(parts, np.arange(num_rows))


def sample_keys(parts: tuple[int, ...], ids: NDArray[np.int64]) -> Keys:
    """uint64 [len(ids)]: a key for each number (not negative), a pure function of `parts` and that number."""
    base = np.random.SeedSequence(parts).generate_state(1, np.uint64)
    return _mix(base + (ids.astype(np.uint64) + np.uint64(1)) * _GAMMA)


def uniforms(keys: Keys, num_draws: int) -> NDArray[np.float64]:
    """float64 [len(keys), num_draws] in [0, 1); row i depends on key i only."""
    counters = np.arange(1, num_draws + 1, dtype=np.uint64) * _GAMMA
    bits = _mix(keys[:, None] + counters[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(state: Keys) -> Keys:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
