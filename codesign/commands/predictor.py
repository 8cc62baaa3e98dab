"""``codesign predictor``: measured subnets and the predictor fitted to them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from codesign.progress import Progress
from codesign.run.folder import Run, claiming
from codesign.run.records import LeftOutAccuracies, PredictorRecord
from codesign.run.requests import PredictorRequest, load_trained
from codesign.supernet.accuracy.measured import MeasuredAccuracy
from codesign.supernet.accuracy.predictor import fit_predictor, judge_predictor, measure_sample, write_predictor
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import write_record

LEFT_OUT = 0.2
SPLITS = 20


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
        partial = fit_predictor(space, digest, genes[:used], accuracy[:used])
        write_predictor(run.predictor, fit_predictor(space, digest, genes, accuracy))
    left_out = LeftOutAccuracies(tuple(accuracy[used:].tolist()), tuple(partial.accuracy(genes[used:]).tolist()))
    run.configure(PredictorRequest(samples=samples, seed=seed), replace=True)
    write_record(run.predictor_quality, PredictorRecord(samples=samples, **asdict(quality), left_out=left_out))
    return PredictorResult(
        samples=samples,
        lowest_accuracy=float(accuracy.min()),
        highest_accuracy=float(accuracy.max()),
        splits=SPLITS,
        kendall_tau=Spread.of(quality.kendall_tau),
        spearman=Spread.of(quality.spearman),
        rmse=Spread.of(quality.rmse),
    )
