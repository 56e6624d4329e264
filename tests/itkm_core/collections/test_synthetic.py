from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from itkm_core.collections.synthetic import list_images
from itkm_core.corpus.schema import LISTING_SCHEMA
from itkm_core.errors import CorpusError
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.record import RECORD_FILE
from itkm_core.synthetic.write import MANIFEST_FILE, write_people


@pytest.fixture
def people(tmp_path: Path) -> Path:
    return write_people(
        SyntheticConfig(people_train=1, people_test=1, images=2), tmp_path / "people"
    ).root


def test_made_up_people_are_listed(people: Path) -> None:
    table = list_images(str(people)).rows
    assert table.schema == LISTING_SCHEMA
    assert table.num_rows == 3 * 2 * 2 * 2
    uris = table["uri"].to_pylist()
    assert uris == sorted(uris)
    assert all((people / uri).is_file() for uri in uris)
    assert set(table["group"].to_pylist()) == {0, 1}
    assert min(table["person"].to_pylist()) >= 1


@pytest.mark.parametrize("name", [MANIFEST_FILE, RECORD_FILE])
def test_an_unfinished_folder_is_refused(people: Path, name: str) -> None:
    (people / name).unlink()
    with pytest.raises(CorpusError, match=rf"has no {name}; expected a folder that `itkm synth"):
        list_images(str(people))


def test_a_spoilt_manifest_is_refused(people: Path) -> None:
    manifest = people / MANIFEST_FILE
    table = pq.read_table(manifest)

    def spoil(name: str, values: list) -> None:
        place = table.schema.get_field_index(name)
        field = table.schema.field(name)
        pq.write_table(table.set_column(place, field, pa.array(values, field.type)), manifest)

    spoil("group", [2] * table.num_rows)
    with pytest.raises(CorpusError, match="group 2; expected 0 or 1"):
        list_images(str(people))
    spoil("uri", ["../x.png"] * table.num_rows)
    with pytest.raises(CorpusError, match="leads out of the root"):
        list_images(str(people))
    pq.write_table(table.drop_columns("camera"), manifest)
    with pytest.raises(CorpusError, match="is not a listing of `itkm synth`"):
        list_images(str(people))
