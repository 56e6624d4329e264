"""`itkm label`: which input, which configuration, and whether to label or to sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from itkm_core.clustering.options import check_eps_values
from itkm_core.clustering.sweep import eps_range
from itkm_core.errors import ConfigError, FeatureError, StorageError
from itkm_core.storage.place import Place
from pipelines.artifacts.claim import claim
from pipelines.artifacts.hold import held
from pipelines.config import DEFAULT_RECIPE, RunConfig, load_config, make_config
from pipelines.console import Console

if TYPE_CHECKING:
    from pipelines.label.against import Against

SWEEP_FORMS = "expected eps=START:STOP:STEP, such as eps=0.4:0.7:0.05, or eps=0.4,0.5,0.6"


@dataclass(frozen=True)
class LabelRequest:
    """What was typed."""

    out: str
    features: str | None = None
    ids: str | None = None
    normalise: bool = False
    corpus: str | None = None
    checkpoint: str | None = None
    recipe: str | None = None
    sweep: str | None = None
    against: str | None = None
    overrides: tuple[str, ...] = ()


def label(request: LabelRequest, console: Console) -> None:
    """Run the command. Whatever can be checked is checked before anything is computed."""
    if (request.features is None) == (request.corpus is None):
        raise ConfigError("expected one of --features and --corpus: what to label")
    if request.against is not None:
        _check_against(request)
    values = None if request.sweep is None else sweep_values(request.sweep)
    if request.features is not None:
        _from_features(request, request.features, values, console)
    else:
        _from_corpus(request, str(request.corpus), values, console)


def _check_against(request: LabelRequest) -> None:
    """Raises ConfigError for options that would label new images differently from the known ones."""
    if request.sweep is not None:
        raise ConfigError("--sweep looks for an eps, but --against uses that of its folder")
    own = "--against labels as its folder was labelled"
    if request.recipe is not None and request.features is not None:
        raise ConfigError(f"{own}: leave out --recipe")
    for override in request.overrides:
        if override.startswith(("labels.", "without_camera")):
            raise ConfigError(f"{own}: leave out {override}")


def _from_features(
    request: LabelRequest, features: str, values: tuple[float, ...] | None, console: Console
) -> None:
    from pipelines.label.features import label_features, sweep_features
    from pipelines.label.input import read_input

    if request.checkpoint is not None:
        raise ConfigError("--checkpoint goes with --corpus: features need no encoder")
    for override in request.overrides:
        if not override.startswith(("labels.", "links.")):
            raise ConfigError(
                f"override {override!r}: with --features only labels.* and links.* have an effect, such as labels.k1=20"
            )
    overrides = _with_candidates(request.overrides, values)
    if request.recipe is None:
        config = make_config({}, overrides, name="the method's defaults")
    else:
        config = load_config(request.recipe, overrides)
    if config.without_camera:
        console.print("note: without_camera is ignored: features alone have no cameras")
    against = _index(request)
    if against is not None:
        config = config.labelling_as(against.index.labels)
        if against.index.without_camera:
            raise FeatureError(
                f"--against {against.run}: its features are compared without their camera's mean, and features "
                "alone have no cameras; expected a corpus"
            )
    first_id = 0 if against is None else against.index.next_id
    given = read_input(features, request.ids, normalise=request.normalise, first_id=first_id)
    if against is not None:
        against.check_fit(request.out, grouped=given.scenario is not None)
    with _output(request.out, console) as out:
        if values is not None and not config.labels.chooses_eps:
            sweep_features(given, config, out, console)
        else:
            label_features(given, config, out, console, against)


def _from_corpus(
    request: LabelRequest, corpus: str, values: tuple[float, ...] | None, console: Console
) -> None:
    from itkm_core.corpus.schema import Corpus
    from itkm_core.model.weights import read_info
    from pipelines.label.corpus import label_corpus
    from pipelines.session import ray_session
    from pipelines.steps.encoders import WEIGHTS

    if request.ids is not None or request.normalise:
        raise ConfigError("--ids and --normalise go with --features: a corpus needs neither")
    overrides = _with_candidates(request.overrides, values)
    checkpoint, config = _encoder(request, overrides)
    against = _index(request)
    if against is not None:
        against.check_fit(request.out, grouped=True)
        index = against.index
        config = config.labelling_as(index.labels, without_camera=index.without_camera)
    scenarios = Corpus.open(corpus).scenarios
    if checkpoint is not None:
        known = read_info((checkpoint / WEIGHTS).read_bytes()).scenarios
        unknown = sorted(set(config.only or scenarios) & set(scenarios) - set(known))
        if unknown:
            console.print(
                f"note: the encoder was not trained on {', '.join(unknown)}: the mean of its scenario "
                "embeddings is used"
            )
    sweeping = values is not None and not config.labels.chooses_eps
    with _output(request.out, console) as out, ray_session(console):
        label_corpus(config, corpus, checkpoint, out, console, against, sweeping=sweeping)


def _index(request: LabelRequest) -> Against | None:
    from pipelines.label.against import Against
    from pipelines.label.index import read_index

    if request.against is None:
        return None
    return Against(request.against, read_index(request.against))


def _encoder(request: LabelRequest, overrides: list[str]) -> tuple[Place | None, RunConfig]:
    """The folder of the encoder and the configuration to label with.

    A run's own configuration goes with its encoder unless a recipe is named.
    """
    from pipelines.artifacts.run_folder import read_run
    from pipelines.steps.encoders import WEIGHTS

    if request.checkpoint is None:
        return None, load_config(request.recipe or DEFAULT_RECIPE, overrides)
    place = Place.at(request.checkpoint)
    if (place / "config.yaml").exists():
        run, checkpoint = place, last_checkpoint(place)
    elif (place / WEIGHTS).exists():
        # <run>/round-NNN/train/checkpoint
        run, checkpoint = place.parent.parent.parent, place
    else:
        raise StorageError(
            f"--checkpoint {request.checkpoint}: it has neither {WEIGHTS} nor config.yaml; expected a run's "
            "folder, or its round-NNN/train/checkpoint"
        )
    if request.recipe is not None or not (run / "config.yaml").exists():
        return checkpoint, load_config(request.recipe or DEFAULT_RECIPE, overrides)
    own: dict[str, Any] = read_run(run)[1]["config"]
    kept = {name: value for name, value in own.items() if name not in ("corpus", "compute")}
    return checkpoint, make_config(
        kept, overrides, name=f"the configuration of {run}", trusted=True
    )


def last_checkpoint(run: Place) -> Place:
    """The checkpoint of a run's last finished round.

    Raises:
        StorageError: no round is finished.
    """
    # Looked up by name: an object store may list new files late.
    last = None
    for number in count(1):
        train = run / f"round-{number:03d}" / "train"
        if not (train / "manifest.json").exists():
            break
        last = train / "checkpoint"
    if last is None:
        raise StorageError(f"{run}: no round of this run has finished training")
    return last


def sweep_values(text: str) -> tuple[float, ...]:
    """The values of `eps=0.4:0.7:0.05` or `eps=0.4,0.5`, ascending.

    Raises:
        ConfigError: another form, or values that do not make a sweep.
    """
    key, _, spec = text.partition("=")
    ranged = ":" in spec
    try:
        numbers = [float(part) for part in spec.split(":" if ranged else ",")]
    except ValueError:
        numbers = []
    if key.strip() != "eps" or not numbers or (ranged and len(numbers) != 3):
        raise ConfigError(f"--sweep {text}: {SWEEP_FORMS}")
    try:
        if ranged:
            return eps_range(*numbers)
        check_eps_values(numbers)
    except ConfigError as error:
        raise ConfigError(f"--sweep {text}: {error}") from error
    return tuple(numbers)


def _with_candidates(overrides: tuple[str, ...], values: tuple[float, ...] | None) -> list[str]:
    """With --sweep and eps=auto, eps is chosen among the sweep's values."""
    return [*overrides, *([] if values is None else [f"labels.eps_candidates={list(values)}"])]


@contextmanager
def _output(out: str, console: Console) -> Iterator[Place]:
    """The output folder, held for the block. Raises as `claim` and `held`, also for the folder of a run."""
    place = Place.at(out)
    if (place / "config.yaml").exists():
        raise StorageError(f"--out {out} is the folder of a run; give another")
    claim(place, "label", unmarked=_has_index)
    with held(place, console.print):
        yield place


def _has_index(place: Place) -> bool:
    """Whether labels made before output folders were marked are there."""
    from pipelines.label.index import read_index

    try:
        read_index(place.uri)
    except StorageError:
        return False
    return True
