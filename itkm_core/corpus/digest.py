"""Digests of pictures and tables: the same content gives the same digest on any machine."""

from __future__ import annotations

import hashlib

import pyarrow as pa

from itkm_core.corpus.images import Encoded

DIGEST_BYTES = 16


def image_digest(data: Encoded) -> bytes:
    """16 bytes (BLAKE2b) that name the encoded picture."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def digest_at_depth(digest: bytes, depth: int) -> bytes:
    """The digest of a picture of `image_digest` that is kept as `eight_bits` with this depth; 0: kept as found."""
    return image_digest(digest + bytes([depth])) if depth else digest


def table_digest(*tables: pa.Table) -> str:
    """Hex digest of the columns' names, types and values; their layout in memory does not matter.

    Columns are of integers, strings or fixed-size binary, without nulls.
    """
    total = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for table in tables:
        total.update(f"table {table.num_rows}".encode())
        for name, column in zip(table.column_names, table.columns, strict=True):
            assert column.null_count == 0, f"column {name} has nulls"
            total.update(f"{name} {column.type}".encode())
            if pa.types.is_integer(column.type):
                values = column.to_numpy()
                total.update(values.astype(values.dtype.newbyteorder("<")).tobytes())
                continue
            for value in column.to_pylist():
                data = value.encode() if isinstance(value, str) else value
                total.update(len(data).to_bytes(8, "little"))
                total.update(data)
    return total.hexdigest()
