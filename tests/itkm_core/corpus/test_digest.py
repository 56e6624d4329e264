from __future__ import annotations

import pyarrow as pa

from itkm_core.corpus.digest import image_digest, table_digest


def table(**changes) -> pa.Table:
    columns = {"a": pa.array([1, 2, 3], pa.int32()), "b": pa.array(["x", "yz", ""])}
    return pa.table({**columns, **changes})


def test_chunks_and_slices_do_not_matter() -> None:
    parts = pa.concat_tables([table().slice(0, 1), table().slice(1)])
    assert parts["a"].num_chunks == 2
    assert table_digest(parts) == table_digest(table())
    assert table_digest(table().slice(1)) == table_digest(table().take([1, 2]))


def test_every_other_difference_matters() -> None:
    others = [
        table(a=pa.array([1, 2, 4], pa.int32())),
        table(a=pa.array([1, 2, 3], pa.int64())),
        table(b=["xy", "z", ""]),
        table().rename_columns(["a", "c"]),
        table().take([1, 0, 2]),
        table().slice(0, 2),
    ]
    digests = [table_digest(each) for each in [table(), *others]]
    digests += [table_digest(table(), table()), table_digest(table().slice(0, 1), table().slice(1))]
    assert len(set(digests)) == len(digests)


def test_a_picture_is_named_by_its_bytes() -> None:
    assert image_digest(b"one") == image_digest(memoryview(b"one"))
    assert image_digest(b"one") != image_digest(b"two")
    assert len(image_digest(b"")) == 16
