"""``codesign calibrate plan``: which layers and mappings to measure on a board."""

from dataclasses import dataclass

import numpy as np

from codesign.commands.calibration.candidates import candidates
from codesign.progress import Progress, Silent
from cost_models.calibration.engines import engine_model
from cost_models.calibration.planning import plan as choose
from cost_models.calibration.planning import prior_of
from cost_models.calibration.posterior import Posterior
from cost_models.calibration.record import load_calibration
from cost_models.coefficients.fitted_range import range_of, warn_outside
from cost_models.measurements.engine_run import OWN_ENGINE, EngineRun, MeasuredLayer
from cost_models.measurements.plan_file import RunPlan
from cost_models.resources import estimate_resources, excess
from hw_templates.board import Board, board_record
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InvalidValueError

_ACCELERATORS = 4000


@dataclass(frozen=True)
class PlannedRuns:
    """Runs that were chosen to be measured.

    Attributes:
        plan: the runs.
        candidates: how many they were chosen from.
        sampled: whether the accelerator was sampled, so that no project of it exists yet.
    """

    plan: RunPlan
    candidates: int
    sampled: bool


def plan_runs(
    board: Board,
    budget: int,
    *,
    accelerator: Accelerator | None = None,
    known: str | None = None,
    progress: Progress | None = None,
) -> PlannedRuns:
    """Choose the runs whose latencies would teach most about the coefficients.

    Args:
        board: where they are to run.
        budget: how many to choose.
        accelerator: the engine on the board; None for the largest engine sampled that fits it.
        known: calibration of the engine to start from; None for the prior.
        progress: shows how the choice gets on.

    Raises:
        InvalidValueError: unknown calibration, or more runs than candidates.
        StorageError: the calibration cannot be read.
    """
    engine = accelerator or _largest(board)
    posterior = _posterior(known, engine)
    with (progress or Silent()).stage("plan") as update:
        layers = candidates(engine)
        update(0.1, f"{len(layers)} candidates")
        runs = [
            EngineRun(
                engine=OWN_ENGINE,
                board=board_record(board),
                clock_mhz=engine.clock_mhz,
                layers=tuple(map(MeasuredLayer.of, each)),
                accelerator=engine,
            )
            for each in layers
        ]
        chosen = choose(engine_model(OWN_ENGINE), runs, posterior, budget)
    plan = RunPlan(board_record(board), engine, tuple(layers[index] for index in chosen.chosen), chosen.deviations)
    return PlannedRuns(plan, len(layers), accelerator is None)


def _posterior(known: str | None, accelerator: Accelerator) -> Posterior:
    if known is None:
        return prior_of(engine_model(OWN_ENGINE))
    calibration = load_calibration(known)
    if calibration.engine != OWN_ENGINE:
        raise InvalidValueError("known", known, f"a calibration of {OWN_ENGINE}, not of {calibration.engine}")
    warn_outside(calibration.name, calibration.fitted_on, range_of([], [accelerator]))
    return calibration.posterior


def _largest(board: Board) -> Accelerator:
    """Return the sampled engine that fits the board and multiplies most a second."""
    columns = AcceleratorSpace(board).sample(np.random.default_rng(0), _ACCELERATORS)
    over = excess(estimate_resources(columns, board), board)
    fits = np.all([np.asarray(count) <= 0 for count in over.values()], axis=0)
    rate = columns.pe_rows * columns.pe_cols * columns.pe_pixels * columns.clock_mhz
    return columns[int(np.where(fits, rate, -1).argmax())]
