"""One picture of one synthetic person, drawn on its own from derived seeds. [ours]"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from itkm_core.synthetic.captions import describe
from itkm_core.synthetic.config import SCENARIOS, SyntheticConfig
from itkm_core.synthetic.draw import material_map
from itkm_core.synthetic.light import Camera, draw_camera, expose, lower_resolution
from itkm_core.synthetic.people import Person, draw_bottom, draw_person, draw_top
from itkm_core.synthetic.pose import draw_pose


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture and everything known about it."""

    image: np.ndarray
    """uint8 [height, width, 3], RGB; smaller than configured in the low-resolution group."""
    scenario: str
    group: int
    camera: int
    """Unique in the corpus: no two groups or scenarios share a camera number."""
    split: str
    person: int
    """1, 2, ...; unique in the corpus: no two scenarios share a person."""
    clothes: int
    """Unique in the corpus; in clothing change a person has one number in each group."""
    view: int
    caption: str
    jpeg_quality: int | None
    """JPEG quality of the file; None for a lossless one."""

    def encoded(self) -> bytes:
        """The picture as the bytes of its file: JPEG in the low-resolution group, else PNG."""
        out = io.BytesIO()
        picture = Image.fromarray(self.image)
        if self.jpeg_quality is None:
            picture.save(out, "PNG", compress_level=1)
        else:
            picture.save(out, "JPEG", quality=self.jpeg_quality)
        return out.getvalue()

    @property
    def uri(self) -> str:
        """Where `write_people` puts the file, relative to its folder."""
        suffix = "png" if self.jpeg_quality is None else "jpg"
        name = f"p{self.person:05d}_{self.view}.{suffix}"
        return f"{self.scenario}/{self.split}/{self.group}/c{self.camera}/{name}"


@lru_cache(maxsize=64)
def person_in(config: SyntheticConfig, scenario: str, person: int, group: int) -> Person:
    """A person of a scenario, in the clothes they wear in a group; `person` from 0."""
    follow = config.reflectance_from_luminance
    who = draw_person(config.generator("person", scenario, person), follow)
    if scenario != "ucc" or group == 0:
        return who
    rng = config.generator("clothes", scenario, person)
    u = rng.random()
    both = config.both_garments_changed
    if u < both + (1.0 - both) / 2:
        who = replace(who, top=draw_top(rng, follow))
    if u < both or u >= both + (1.0 - both) / 2:
        who = replace(who, bottom=draw_bottom(rng, follow))
    return who


@lru_cache(maxsize=1024)
def camera_at(config: SyntheticConfig, scenario: str, group: int, camera: int) -> Camera:
    """A camera of a group; `camera` from 0."""
    return draw_camera(config.generator("camera", scenario, group, camera), config.cast)


def _split(config: SyntheticConfig, person: int, group: int, view: int) -> str:
    if not config.is_tested(person):
        return "train"
    # An only picture asks from the second group and is found in the first.
    if config.images == 1:
        return "query" if group == 1 else "gallery"
    return "query" if view < config.images // 2 else "gallery"


def render_sample(
    config: SyntheticConfig, scenario: str, person: int, group: int, view: int
) -> Sample:
    """Draw one picture; no other picture need be drawn first.

    Args:
        config: the corpus it belongs to.
        scenario: one of `SCENARIOS`.
        person: index within the scenario, one of `config.people_of(group)`.
        group: 0 (visible, first clothes, high resolution) or 1 (infrared, other clothes, low
            resolution).
        view: 0 .. config.images - 1.

    Returns:
        The picture with its labels and caption, the same for the same arguments.
    """
    who = person_in(config, scenario, person, group)
    rng = config.generator("view", scenario, person, group, view)
    # Consecutive views of a person go to different cameras, beginning anywhere.
    place = (person * 7 + group + view) % config.cameras
    camera = camera_at(config, scenario, group, place)
    infrared, low = scenario == "uvi" and group == 1, scenario == "ucr" and group == 1
    pose = draw_pose(rng, config.pose_jitter)
    dx, dy = rng.normal(0.0, 0.12), rng.normal(0.0, 0.05)
    things = tuple((a + dx, b + dy, c + dx, d + dy) for a, b, c, d in camera.things)
    supersample = max(2, -(-192 // config.height))
    surfaces = material_map(
        who,
        pose,
        min(camera.horizon + dy, 0.97),
        things,
        config.height * supersample,
        config.width * supersample,
    )
    picture = expose(
        surfaces,
        [who],
        camera,
        rng,
        size=(config.height, config.width),
        infrared=infrared,
        noise=config.infrared_noise if infrared else config.noise,
    )
    quality = None
    if low:
        picture = lower_resolution(picture, float(rng.uniform(*config.downscale)))
        quality = int(rng.integers(config.jpeg_quality[0], config.jpeg_quality[1] + 1))
    number = SCENARIOS.index(scenario)
    words = config.generator("caption", scenario, person, group, view)
    identity = number * config.people + person + 1
    return Sample(
        image=picture,
        scenario=scenario,
        group=group,
        camera=(number * 2 + group) * config.cameras + place,
        split=_split(config, person, group, view),
        person=identity,
        clothes=identity * 2 + int(scenario == "ucc" and group == 1),
        view=view,
        caption=describe(who, pose, words, infrared=infrared, low_resolution=low),
        jpeg_quality=quality,
    )


def sample_keys(config: SyntheticConfig) -> Iterator[tuple[str, int, int, int]]:
    """(scenario, person, group, view) of every picture: the arguments of `render_sample`."""
    for scenario in config.scenarios:
        places = [(person, group) for group in (0, 1) for person in config.people_of(group)]
        for person, group in sorted(places):
            for view in range(config.images):
                yield scenario, person, group, view


def iter_samples(config: SyntheticConfig) -> Iterator[Sample]:
    """Draw every picture of the corpus, in the order of `sample_keys`."""
    for key in sample_keys(config):
        yield render_sample(config, *key)
