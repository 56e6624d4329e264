"""A collection in two resolutions, made from one in high resolution, as the MLR collections are made.

Jiao et al., "Deep Low-Resolution Person Re-Identification", AAAI 2018, bring pictures of one camera down by 2, 3 or 4;
these are asked, and those of the other camera answer. How pixels are interpolated is not known to us. Public code that
does the same to Market-1501 differs: camera 1 for everyone, or a camera drawn for each person; a factor for each
picture, or for each person; bilinear, bicubic or Lanczos. Here it is a list of cameras, since a group never comes from
an identity, and a factor for each picture. [ours]
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from itkm_core.collections.listing import Listing
from itkm_core.corpus.shrink import FACTORS

LOW_CAMERAS = (1,)
"""Those in low resolution, unless others are given. [ours]"""


def ask_across(listing: Listing) -> Listing:
    """The listing with test pictures of group 1 as queries and those of group 0 as the gallery."""
    groups = listing.rows["group"].to_numpy()
    splits = listing.rows["split"].to_numpy(zero_copy_only=False)
    asked = np.where(groups == 1, "query", "gallery")
    place = listing.rows.schema.get_field_index("split")
    column = pa.array(np.where(splits == "train", "train", asked).tolist(), pa.string())
    return replace(listing, rows=listing.rows.set_column(place, "split", column))


def factors(uris: Sequence[str]) -> np.ndarray:
    """int8 [N]: by how much each picture is brought down, one of FACTORS, all as likely.

    It depends on the picture's uri alone, so that pictures which come or go change no other. [ours]
    """
    heads = (hashlib.blake2b(uri.encode(), digest_size=8).digest() for uri in uris)
    return np.array([FACTORS[int.from_bytes(head) % len(FACTORS)] for head in heads], np.int8)
