"""`itkm synth`: draw made-up people, as pictures or as video."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from itkm_core.errors import ConfigError
from itkm_core.synthetic.config import SyntheticConfig
from itkm_core.synthetic.video.config import VideoConfig
from itkm_core.synthetic.video.write import write_video
from itkm_core.synthetic.write import write_people

Model = TypeVar("Model", bound=BaseModel)


def draw(
    out: str, video: bool, given: Mapping[str, Any], progress: Callable[[int, int], None]
) -> str:
    """Draw people into a folder.

    Args:
        out: the folder.
        video: films in place of pictures.
        given: the command's other options, None where it was not given.
        progress: called with (done, all).

    Returns:
        A line that says what there is now.

    Raises:
        ConfigError: an option of the other kind, or a value out of range.
        CorpusError, StorageError: as `write_people` and `write_video`.
    """
    options = {name: value for name, value in given.items() if value is not None}
    belongs = "pictures, not for --video" if video else "--video"
    for name in ("images", "overlap") if video else ("tracker_noise",):
        if name in options:
            raise ConfigError(f"--{name.replace('_', '-')} is for {belongs}: leave one of them out")
    people = options.pop("people", 20 if video else 60)
    tested = options.pop("test_people", people // 2 if video else 2 * people // 3)
    if video:
        options |= {"people": people, "people_test": tested}
        films = write_video(_checked(VideoConfig, options), out, progress=progress)
        what, reused = f"{films.num_videos} videos, {films.num_frames:,} frames", films.reused
        then = f": itkm ingest --as tracks {films.cameras} --out ..."
    else:
        height = options.pop("height", 64)
        options |= {"people_train": people, "people_test": tested}
        options |= {"height": height, "width": height // 2}
        pictures = write_people(_checked(SyntheticConfig, options), out, progress=progress)
        what, reused, then = f"{pictures.num_images:,} pictures", pictures.reused, ""
    return f"{what}{' (reused)' if reused else ''} in {out}{then}"


def _checked(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ConfigError(f"{name} is {first['input']!r}: {first['msg']}") from error
