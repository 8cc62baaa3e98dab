"""A timing model fitted to measured runs, judged on runs that were left out of the fit.

The widths of intervals come from runs that are left out of a fit in turn (:mod:`cost_models.calibration.intervals`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cost_models.calibration.estimation import estimate
from cost_models.calibration.intervals import LeftOut
from cost_models.calibration.posterior import Posterior, Prediction, predict
from cost_models.calibration.timing_model import TimingModel, check_attainable, measured_cycles
from cost_models.measurements.engine_run import EngineRun
from cost_models.measurements.measurement import Measurement
from hw_templates.foundation.errors import InvalidValueError

LEAST_RUNS = LEAST_GROUPS = 3
_FOLDS = 10


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A model fitted to runs, and its predictions of runs that were left out.

    Attributes:
        model: of the runs' engine.
        posterior: of the fit to all runs.
        left_out: groups of runs left out in turn, or single runs where there are no groups.
        left_out_singly: parts of every group left out in turn; as ``left_out`` where there are no groups.
        groups: those that the fit knows.
    """

    model: TimingModel
    posterior: Posterior
    left_out: LeftOut
    left_out_singly: LeftOut
    groups: frozenset[str]

    def predict(self, runs: Sequence[EngineRun]) -> Prediction:
        """Predict the cycles of runs."""
        new, known = self.left_out.widths, self.left_out_singly.widths
        width = [(known if run.group in self.groups else new).of(run.campaign) for run in runs]
        return predict(self.model, runs, self.posterior, np.array(width))


def fit(model: TimingModel, runs: Sequence[Measurement], tell: Callable[[float], None] = lambda _: None) -> Fit:
    """Fit a model to runs of its engine, and to all but some of them in turn; ``tell`` hears the share that is done.

    Raises:
        InvalidValueError: the runs are too few, or one is of another engine, faster than its engine can be, or lacks
            what the model needs.
    """
    check_runs(model, runs)
    posterior = estimate(model, runs)
    groups, singles = group_parts(runs), single_parts(runs)
    steps = 1 + len(singles) + len(groups)
    singly = leave_out(model, runs, singles, posterior, lambda done: tell((1 + done) / steps))
    return Fit(
        model=model,
        posterior=posterior,
        left_out=leave_out(model, runs, groups, posterior, lambda done: tell((1 + len(singles) + done) / steps))
        if groups
        else singly,
        left_out_singly=singly,
        groups=frozenset(run.group for run in runs if run.group is not None),
    )


def check_runs(model: TimingModel, runs: Sequence[Measurement]) -> None:
    """Check that runs can be fitted.

    Raises:
        InvalidValueError: they are too few, or one is of another engine or faster than its engine can be.
    """
    if len(runs) < LEAST_RUNS:
        raise InvalidValueError("measurements", len(runs), f"at least {LEAST_RUNS} runs of {model.engine} to fit")
    for run in runs:
        if run.engine != model.engine:
            raise InvalidValueError("measurement.engine", run.engine, f"{model.engine} like that of the other runs")
    check_attainable(model, runs, [f"measurements[{index}].latency_ms.p50" for index in range(len(runs))])


def group_parts(runs: Sequence[Measurement]) -> list[list[int]]:
    """Return the indices of the runs of each group, in at most ten parts; none for fewer than three groups."""
    groups: dict[str, list[int]] = {}
    for index, run in enumerate(runs):
        groups.setdefault(run.group if run.group is not None else f"run {index}", []).append(index)
    return _parts(list(groups.values())) if LEAST_GROUPS <= len(groups) < len(runs) else []


def single_parts(runs: Sequence[Measurement]) -> list[list[int]]:
    """Return the indices of the runs, dealt to at most ten parts."""
    return _parts([[index] for index in range(len(runs))])


def _parts(members: Sequence[Sequence[int]]) -> list[list[int]]:
    count = min(_FOLDS, len(members))
    return [[index for group in members[first::count] for index in group] for first in range(count)]


def leave_out(
    model: TimingModel,
    runs: Sequence[Measurement],
    parts: Sequence[Sequence[int]],
    start: Posterior | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> LeftOut:
    """Predict each part of the runs by a fit of all others.

    Args:
        model: of the runs' engine.
        runs: all of them.
        parts: indices of the runs of each part.
        start: where the fits begin their search.
        tell: hears how many parts are done.
    """
    predicted, deviation = np.empty(len(runs)), np.empty(len(runs))
    for done, part in enumerate(parts, start=1):
        rows = sorted(part)
        posterior = estimate(model, [run for index, run in enumerate(runs) if index not in set(part)], start)
        prediction = predict(model, [runs[index] for index in rows], posterior, 0.0)
        predicted[rows], deviation[rows] = prediction.cycles, prediction.deviation
        tell(done)
    return LeftOut(tuple(run.campaign for run in runs), measured_cycles(runs), predicted, deviation)
