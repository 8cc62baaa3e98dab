"""What users ask commands for, and what these read back from a run folder before they begin."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from codesign.run.choices import AccuracySource
from codesign.run.folder import ANOTHER_RUN, Run, Settings
from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.accuracy.official_predictor import known_space, load_official_predictor
from codesign.supernet.accuracy.oracle import AccuracyOracle
from codesign.supernet.accuracy.predictor import LEAST_SUBNETS, read_predictor
from codesign.supernet.data.data_set import DataSet, load_digits
from codesign.supernet.spaces.named import SPACES, load_space
from codesign.supernet.spaces.space import Space, Subnet
from codesign.supernet.training.checkpoint import Checkpoint, read_checkpoint
from codesign.supernet.training.schedule import SCHEDULES, Schedule, load_schedule
from hw_templates.board import BOARDS
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.catalogue import Source
from hw_templates.foundation.errors import InvalidValueError, StorageError, UnknownNameError
from hw_templates.foundation.json_records import check_record, read_json, reading

FEW_SUBNETS = 600
"""Largest number of subnets that a search measures itself; a predictor needs accuracies of half of them."""


ENDS = ("largest", "smallest")
_EXPECTED = "largest, smallest, or a JSON file with a subnet, such as winner.json or project.json of a run"


@dataclass(frozen=True)
class Trained:
    """A trained supernet with the data that trained it."""

    space: Space
    data: DataSet
    checkpoint: Checkpoint


@dataclass(frozen=True, kw_only=True)
class TrainRequest(Settings):
    """Settings of a training.

    Attributes:
        space, preset: names of the space and of the schedule; for the path of a TOML file, the record of the file.
        seed: of weights and draws.
        data: folder of images; None for the embedded digits.
        subnet: the one subnet to train alone, as :meth:`Subnet.as_dict` has it; None for the whole space.
        start_from: folder of the run whose supernet the subnet is taken from; None for random weights.
    """

    SECTION = "train"

    space: Source = "digits"
    preset: Source = "digits"
    seed: int = 0
    data: str | None = None
    subnet: dict[str, object] | None = None
    start_from: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "space", SPACES.record(self.space))
        object.__setattr__(self, "preset", SCHEDULES.record(self.preset))

    def load_space(self) -> Space:
        """Return the space that is trained.

        Raises:
            InvalidValueError: unknown space, or the subnet is not of it.
        """
        space = load_space(self.space)
        return space if self.subnet is None else space.only(space.parse_subnet(self.subnet))

    def load_schedule(self) -> Schedule:
        """Return the schedule by which it is trained.

        Raises:
            InvalidValueError: unknown preset.
        """
        schedule = load_schedule(self.preset)
        return schedule if self.subnet is None else schedule.for_one_subnet()

    def load_data(self) -> DataSet:
        """Return the images.

        Raises:
            InvalidValueError: no folder is named, and the space is not for images like the digits.
            StorageError: the folder holds no sound data set.
        """
        space = load_space(self.space)
        if self.data is not None:
            from codesign.supernet.data.image_files import load_images

            return load_images(Path(self.data), space.image_channels)
        if (space.image_channels, space.num_classes) != (1, 10):
            raise InvalidValueError("train.data", None, f"a folder of images for space {space.name}")
        return load_digits()


def load_trained(run: Run) -> Trained:
    """Load the run's finished supernet.

    Raises:
        StorageError: it is not there, not finished, or damaged.
    """
    request = run.settings(TrainRequest)
    with reading(run.configuration, ANOTHER_RUN):
        space = request.load_space()
    checkpoint = read_checkpoint(run.checkpoint, space)
    if not checkpoint.finished:
        raise StorageError(
            f"{run.checkpoint}: training stopped at step {checkpoint.step} of {checkpoint.schedule.steps}; "
            f"run `codesign train {run.folder}` to finish it"
        )
    return Trained(space, request.load_data(), checkpoint)


@dataclass(frozen=True, kw_only=True)
class SearchRequest(Settings):
    """Settings of a search.

    Attributes:
        board: its name; for the path of a TOML file, the record of the file.
        storage: an Optuna storage URL; None for the journal in the run folder.
        space: as in :class:`TrainRequest`; None for that of the run's supernet.
        accuracy: where accuracies come from, one of :class:`AccuracySource`.
        implementation: of the engine.
    """

    SECTION = "search"

    board: Source = "pynq-z2"
    pairs: int = 200_000
    workers: int = 1
    storage: str | None = None
    seed: int = 0
    coefficients: str = "prior"
    space: Source | None = None
    accuracy: str = "predictor"
    implementation: Implementation = Implementation.HLS

    def __post_init__(self) -> None:
        object.__setattr__(self, "board", BOARDS.record(self.board))
        if self.space is not None:
            object.__setattr__(self, "space", SPACES.record(self.space))


@dataclass(frozen=True, kw_only=True)
class PredictorRequest(Settings):
    """Settings of a predictor: the number of subnets to measure, and the seed that draws them."""

    SECTION = "predictor"

    samples: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class EmitRequest(Settings):
    """Options of the rule that chooses a winner; see :func:`codesign.search.winner.rule_of`."""

    SECTION = "emit"

    max_latency_ms: float | None = None
    min_accuracy: float | None = None
    within: float | None = None
    rule: str | None = None


@dataclass(frozen=True, kw_only=True)
class Accuracies:
    """Source of a search's accuracies.

    Attributes:
        space: the subnets whose accuracies the oracle knows.
        oracle: see there.
        source: one of :class:`AccuracySource`.
        digest: of the file that they follow from, 16 hexadecimal digits.
        trained: the run's supernet, where they follow from it.
    """

    space: Space
    oracle: AccuracyOracle
    source: str
    digest: str
    trained: Trained | None = None


def load_accuracies(run: Run, source: str, space: Source | None) -> Accuracies:
    """Load the accuracies of a source for a space; None stands for that of the run's supernet.

    Raises:
        InvalidValueError: no such source or space, another space than the run's, or one that the source does not know.
        StorageError: what the source needs is missing or damaged.
    """
    if source not in tuple(AccuracySource):
        raise UnknownNameError("search.accuracy", source, AccuracySource)
    own = own_space(run)
    asked = own if space is None else load_space(space)
    if own is not None and own != asked:
        raise InvalidValueError("search.space", space, f"{own.name}, that of the supernet in {run.folder}")
    if source == "official":
        if asked is None:
            raise InvalidValueError("search.space", None, f"given, as {run.folder} has no supernet to take it from")
        official = load_official_predictor(known_space(asked))
        return Accuracies(space=official.space, oracle=official, source=source, digest=official.digest)
    trained = load_trained(run)
    oracle: AccuracyOracle
    if source == "measured":
        oracle = MeasuredAccuracy(trained.checkpoint, trained.data, cache=run.accuracies)
        digest = trained.checkpoint.digest
    elif run.predictor.exists():
        oracle = read_predictor(run.predictor, trained.space, trained.checkpoint.digest)
        digest = hashlib.sha256(run.predictor.read_bytes()).hexdigest()[:16]
    else:
        raise StorageError(f"{run.predictor}: no such predictor; {_without_predictor(run, trained.space)}")
    return Accuracies(space=trained.space, oracle=oracle, source=source, digest=digest, trained=trained)


def _without_predictor(run: Run, space: Space) -> str:
    """Return what to do about accuracies of a run that has no predictor."""
    fit = f"run `codesign predictor {run.folder}` first"
    size = space.size()
    if size > FEW_SUBNETS:
        return fit
    subnets = f"{size} subnet{'s' if size > 1 else ''}"
    measured = f"`codesign search {run.folder} --accuracy measured` needs none, as space {space.name} has {subnets}"
    return measured if size < 2 * LEAST_SUBNETS else f"{fit}, or {measured}"


def own_space(run: Run) -> Space | None:
    """Return the space of the run's supernet, finished or not; None where it has none."""
    request = run.find(TrainRequest)
    if request is None:
        return None
    with reading(run.configuration, ANOTHER_RUN):
        return request.load_space()


def named_subnet(space: Space, name: str) -> Subnet:
    """Return the subnet of ``space`` called ``name``.

    Args:
        space: the subnet must be one of its.
        name: ``largest``, ``smallest`` or a path. The file holds the subnet alone, or under ``subnet`` as
            ``winner.json`` does, or so under ``origin`` as ``project.json`` does.

    Raises:
        InvalidValueError: no such file, or the subnet is not of the space.
        StorageError: the file holds no subnet.
    """
    if name in ENDS:
        return space.largest() if name == "largest" else space.smallest()
    path = Path(name)
    if not path.is_file():
        raise InvalidValueError("subnet", name, _EXPECTED)
    record = read_json(path, dict[str, object], f"name {_EXPECTED}")
    with reading(path, f"name {_EXPECTED}"):
        for entry in ("origin", "subnet"):
            record = check_record(record.get(entry, record), dict[str, object], entry)
        subnet = space.parse_subnet(record)
    space.check(subnet)
    return subnet
