"""``codesign predictor``: measured subnets and the predictor fitted to them."""

from dataclasses import asdict

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


@claiming
def fit(run: Run, samples: int, seed: int, progress: Progress) -> None:
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
    progress.say(f"predictor  {samples} subnets measured: {accuracy.min():.1%} to {accuracy.max():.1%}")
    progress.say(f"           left-out subnets, mean (95 % interval) of {len(quality.kendall_tau)} splits:")
    progress.say(
        f"           Kendall tau {_spread(quality.kendall_tau)}, Spearman {_spread(quality.spearman)}, "
        f"RMSE {_spread(quality.rmse, 100)} points"
    )


def _spread(values: tuple[float, ...], factor: float = 1) -> str:
    low, high = factor * np.quantile(values, (0.025, 0.975))
    return f"{factor * np.mean(values):.2f} ({low:.2f} to {high:.2f})"
