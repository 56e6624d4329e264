from __future__ import annotations

from pathlib import Path

import pytest
from made import encoded
from made_video import number_of, numbered, whole

from itkm_core.collections.tracks.pictures import decoded, folder_frames
from itkm_core.errors import CorpusError


def test_frames_are_in_natural_order(tmp_path: Path) -> None:
    for number, picture in enumerate(numbered(12), start=1):
        (tmp_path / f"frame{number}.png").write_bytes(encoded(picture))
    (tmp_path / "notes.txt").write_text("x")
    frames = folder_frames(str(tmp_path))
    assert (frames.width, frames.height, frames.num) == (96, 64, 12)
    wanted = [1, 9, 10]
    names = [frames.names[at] for at in wanted]
    found = {at: number_of(whole(picture)) for at, picture in decoded(str(tmp_path), wanted, names)}
    assert found == {1: 2, 9: 10, 10: 11}


def test_a_damaged_frame_is_left_out(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(encoded(numbered(1)[0]) if number == 1 else b"x")
    assert [at for at, _ in decoded(str(tmp_path), [0, 1, 2], ["1.png", "2.png", "gone.png"])] == [
        0
    ]
    (tmp_path / "1.png").write_bytes(b"x")
    with pytest.raises(CorpusError, match=r"the frame .*1\.png cannot be read: unreadable"):
        folder_frames(str(tmp_path))


def test_no_frames(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no pictures in"):
        folder_frames(str(tmp_path))
    (tmp_path / "in").mkdir()
    (tmp_path / "out.png").write_bytes(encoded(numbered(1)[0]))
    (tmp_path / "in" / "1.png").symlink_to(tmp_path / "out.png")
    with pytest.raises(CorpusError, match=r"'1\.png' cannot be used .*would have other numbers"):
        folder_frames(str(tmp_path / "in"))
