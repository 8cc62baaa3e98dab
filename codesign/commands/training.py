"""``codesign train`` and ``predictor``: a supernet or one subnet alone, and a predictor of subnets' accuracies."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from codesign.progress import Progress
from codesign.run.folder import Run, claiming
from codesign.run.records import LeftOutAccuracies, PredictorRecord
from codesign.run.requests import PredictorRequest, TrainRequest, load_trained, named_subnet
from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.accuracy.predictor import fit_predictor, judge_predictor, measure_sample, write_predictor
from codesign.supernet.network.subnets import specialised_weights
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import kind_of
from codesign.supernet.training.processes import joined_processes
from codesign.supernet.training.schedule import SCHEDULES, schedule_names
from codesign.supernet.training.shrinking import begin_with, check_data
from codesign.supernet.training.shrinking import train as train_supernet
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import write_record

LEFT_OUT = 0.2
SPLITS = 20


def request_training(
    space: str | None,
    preset: str | None,
    seed: int,
    data: Path | None,
    subnet: str | None,
    start_from: Path | None,
) -> TrainRequest:
    """Return the request that options make; space and data are those of ``start_from`` unless named.

    Args:
        space, seed, data, start_from: as in :class:`TrainRequest`.
        preset: None for the one called as the space; one made for another space needs ``space``, too.
        subnet: ``largest``, ``smallest``, or a JSON file that holds a subnet, such as an emitted ``project.json``.

    Raises:
        InvalidValueError: unknown space or preset, or a preset for another space than the one that follows from the
            other options.
        StorageError: a file is missing or holds no subnet, or the other run has not trained.
    """
    before = TrainRequest() if start_from is None else Run(start_from).settings(TrainRequest)
    source = space or before.space
    name = load_space(source).name
    if preset is None:
        if name not in schedule_names():
            others = "".join(f", or {schedule}, which is for this space" for schedule in schedule_names(name))
            raise InvalidValueError("--preset", None, f"given, as no schedule is called {name}{others}")
        preset = name
    elif space is None and (made := SCHEDULES.load(preset).spaces) and name not in made:
        named = ", ".join(schedule_names(name))
        raise InvalidValueError("--preset", preset, f"one for space {name} ({named}) unless --space is given, too")
    folder = before.data if data is None else str(data.resolve())
    origin = None if start_from is None else str(start_from.resolve())
    table = None if subnet is None else named_subnet(load_space(source), subnet).as_dict()
    return TrainRequest(space=source, preset=preset, seed=seed, data=folder, subnet=table, start_from=origin)


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """A finished training.

    Attributes:
        space: name of the space.
        subnets: how many the space holds.
        steps: of the training.
        largest_accuracy, smallest_accuracy: of the largest and the smallest subnet on the validation part, 0 to 1.
    """

    space: str
    subnets: int
    steps: int
    largest_accuracy: float
    smallest_accuracy: float


def train(run: Run, request: TrainRequest, progress: Progress) -> TrainResult | None:
    """Train what is asked for, or go on training it; of several processes the first returns a result.

    Raises:
        InvalidValueError: unknown space, preset or subnet, others than the run began with, or a preset that leaves
            choices of the space untrained.
        StorageError: the checkpoint is damaged or cannot be written, or another process is at work in the run.
    """
    if before := run.find(TrainRequest):
        # Refuses own files that have changed since.
        before.load_space()
        before.load_schedule()
    space, schedule = request.load_space(), request.load_schedule()
    weights, data = _weights(request), request.load_data()
    check_data(space, data)
    trained = {"resolution", *(kind for phase in schedule.phases for kind in phase.elastic)}
    untrained = sorted({kind_of(name) for name, _ in space.genes} - trained)
    if weights is None and untrained:
        wanted = f"one with elastic {' and '.join(untrained)}, as space {space.name} has"
        raise InvalidValueError("preset", schedule.name, wanted)
    with joined_processes() as processes:
        learn = partial(train_supernet, space, data, schedule, run.checkpoint, seed=request.seed, processes=processes)
        if not processes.first:
            processes.wait()
            learn()
            return None
        with run.claim():
            run.configure(request)
            if weights is not None:
                begin_with(weights, space, data, schedule, run.checkpoint, request.seed)
            processes.wait()
            with progress.stage("train") as update:
                checkpoint = learn(
                    on_step=lambda done: update(done.step / done.steps, f"{done.phase}, loss {done.loss:.2f}")
                )
            ends = np.stack([space.encode(subnet) for subnet in (space.largest(), space.smallest())])
            largest, smallest = MeasuredAccuracy(checkpoint, data, cache=run.accuracies).accuracy(ends).tolist()
    return TrainResult(
        space=space.name,
        subnets=space.size(),
        steps=checkpoint.step,
        largest_accuracy=largest,
        smallest_accuracy=smallest,
    )


def _weights(request: TrainRequest) -> Mapping[str, Tensor] | None:
    """Return the weights to start from, None for random ones."""
    if request.start_from is None:
        return None
    origin = load_trained(Run(Path(request.start_from)))
    if request.subnet is None:
        if origin.space != request.load_space():
            expected = f"a run of space {request.load_space().name}, or with a subnet of its own space"
            raise InvalidValueError("start_from", f"{request.start_from} (space {origin.space.name})", expected)
        return origin.checkpoint.weights
    return specialised_weights(origin.checkpoint.supernet(), origin.space.parse_subnet(request.subnet))


@dataclass(frozen=True)
class Spread:
    """Mean of values, and the interval that holds 95 % of them."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of some values."""
        low, high = np.quantile(values, (0.025, 0.975))
        return cls(float(np.mean(values)), float(low), float(high))


@dataclass(frozen=True, kw_only=True)
class PredictorResult:
    """A fitted predictor.

    Attributes:
        samples: subnets measured.
        lowest_accuracy, highest_accuracy: of these, 0 to 1.
        splits: how often some of them were left out.
        kendall_tau, spearman, rmse: of left-out subnets; see :class:`PredictorQuality`.
    """

    samples: int
    lowest_accuracy: float
    highest_accuracy: float
    splits: int
    kendall_tau: Spread
    spearman: Spread
    rmse: Spread


@claiming
def fit(run: Run, samples: int, seed: int, progress: Progress) -> PredictorResult:
    """Measure ``samples`` subnets of the run's supernet and fit its predictor.

    Raises:
        StorageError: the supernet is missing, unfinished or damaged, or something cannot be written.
        InvalidValueError: too few samples, or other settings than the run's.
    """
    trained = load_trained(run)
    space, digest = trained.space, trained.checkpoint.digest
    if samples > space.size() // 2:
        most = f"at most half of the {space.size()} subnet{'s' if space.size() > 1 else ''} of space {space.name}"
        advice = f"`codesign search {run.folder} --accuracy measured` needs no predictor"
        raise InvalidValueError("samples", samples, f"{most}; {advice}")
    oracle = MeasuredAccuracy(trained.checkpoint, trained.data, cache=run.accuracies)
    with progress.stage("measure subnets") as update:
        genes, accuracy = measure_sample(
            space, oracle, samples, seed=seed, on_measured=lambda done: update(done / samples, f"{done} of {samples}")
        )
    with progress.stage("fit the predictor"):
        quality = judge_predictor(space, genes, accuracy, splits=SPLITS, left_out=LEFT_OUT, seed=seed)
        used = round((1 - LEFT_OUT) * samples)
        predicted = fit_predictor(space, digest, genes[:used], accuracy[:used]).accuracy(genes[used:])
        write_predictor(run.predictor, fit_predictor(space, digest, genes, accuracy))
    run.configure(PredictorRequest(samples=samples, seed=seed), replace=True)
    left_out = LeftOutAccuracies(accuracy[used:], predicted)
    write_record(run.predictor_quality, PredictorRecord(samples=samples, **asdict(quality), left_out=left_out))
    return PredictorResult(
        samples=samples,
        lowest_accuracy=float(accuracy.min()),
        highest_accuracy=float(accuracy.max()),
        splits=SPLITS,
        **{name: Spread.of(values) for name, values in asdict(quality).items()},
    )
