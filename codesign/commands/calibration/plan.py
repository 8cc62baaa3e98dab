"""``codesign calibrate plan``: which layers and mappings to measure on a board."""

from pathlib import Path

import numpy as np

from codesign.commands.calibration.candidates import candidates
from codesign.progress import Progress
from codesign.report.left_out import run_label
from codesign.run.folder import read_json
from cost_models.calibration.engines import engine_model
from cost_models.calibration.planning import plan as choose
from cost_models.calibration.planning import prior_of
from cost_models.calibration.posterior import Posterior
from cost_models.calibration.record import load_calibration
from cost_models.coefficients.fitted_range import range_of, warn_outside
from cost_models.measurements.engine_run import OWN_ENGINE, EngineRun, MeasuredLayer
from cost_models.measurements.plan_file import RunPlan, write_plan
from cost_models.resources import estimate_resources, excess
from hw_templates.board import Board, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

_ACCELERATORS = 4000


def plan(board: str, budget: int, known: str | None, project: Path | None, out: Path, progress: Progress) -> None:
    """Choose runs and write them.

    Args:
        board: where they are to run.
        budget: how many.
        known: calibration of the engine to start from; None for the prior.
        project: emitted project whose engine is on the board; None for the largest engine sampled that fits it.
        out: file for the chosen layers and mappings.

    Raises:
        InvalidValueError: unknown board or calibration, or more runs than candidates.
        StorageError: a file cannot be read or written.
    """
    target, model = load_board(board), engine_model(OWN_ENGINE)
    accelerator = _largest(target) if project is None else _of_project(project)
    posterior = _posterior(known, accelerator)
    with progress.stage("plan") as update:
        runs = [
            EngineRun(
                engine=OWN_ENGINE,
                board=board,
                clock_mhz=accelerator.clock_mhz,
                layers=tuple(map(MeasuredLayer.of, layers)),
                accelerator=accelerator,
            )
            for layers in candidates(accelerator)
        ]
        update(0.1, f"{len(runs)} candidates")
        chosen = choose(model, runs, posterior, budget)
    planned = [runs[index] for index in chosen.chosen]
    write_plan(out, RunPlan(board, accelerator, tuple(run.mapped_layers for run in planned), chosen.deviations))
    progress.say(f"uncertainty of {len(runs)} candidates' latency: {chosen.deviations[0]:.1%} before")
    for run, deviation in zip(planned, chosen.deviations[1:], strict=True):
        mapping = run.mapped_layers[0].mapping
        tile = f"{mapping.tile_out_channels}, {mapping.tile_in_channels}, {mapping.tile_height}x{mapping.tile_width}"
        progress.say(f"  {deviation:6.1%} after {run_label(run)}; tile {tile}, {mapping.loop_order.replace('_', ' ')}")
    if project is None:
        progress.say(
            "           for the largest engine sampled that fits, of which there is no project yet: to measure, plan "
            "with the --project of the engine on the board"
        )
    progress.say(f"plan       {out}")


def _posterior(known: str | None, accelerator: Accelerator) -> Posterior:
    if known is None:
        return prior_of(engine_model(OWN_ENGINE))
    calibration = load_calibration(known)
    if calibration.engine != OWN_ENGINE:
        raise InvalidValueError("known", known, f"a calibration of {OWN_ENGINE}, not of {calibration.engine}")
    warn_outside(calibration.name, calibration.fitted_on, range_of([], [accelerator]))
    return calibration.posterior


def _of_project(project: Path) -> Accelerator:
    return read_json(project / PROJECT_FILE, ProjectRecord).accelerator


def _largest(board: Board) -> Accelerator:
    """Of sampled engines that fit the board, the one with most multiplications a second."""
    columns = AcceleratorSpace(board).sample(np.random.default_rng(0), _ACCELERATORS)
    over = excess(estimate_resources(columns, board), board)
    fits = np.all([np.asarray(count) <= 0 for count in over.values()], axis=0)
    rate = columns.pe_rows * columns.pe_cols * columns.pe_pixels * columns.clock_mhz
    return columns[int(np.where(fits, rate, -1).argmax())]
