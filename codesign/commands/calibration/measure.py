"""``codesign calibrate run``: a plan of layers and mappings, measured on one loaded bitstream."""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from bitstreams.access import bitstream_for, claimed
from bitstreams.board.bench import Bench
from bitstreams.board.control import UnfinishedRunError
from bitstreams.board.driver import Engine, Measured
from bitstreams.board.hardware import Hardware
from bitstreams.board.session import ConnectionLostError
from bitstreams.board.target import Target
from bitstreams.store.store import Store
from codesign.commands.calibration.campaign import Campaign, Failure, Layers, opened
from codesign.emit.random_program import RandomProgram, random_program
from codesign.progress import Progress
from codesign.report.left_out import layers_label
from codesign.run.implementation import read_project
from cost_models.calibration.engines.conv_engine import stated_counters
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.measurements.measurement import (
    OWN_ENGINES,
    MeasuredLayer,
    Measurement,
    Percentiles,
    RunPlan,
    new_run_id,
    read_plan,
)
from hw_templates.board import BoardRecord, check_same_board, load_board
from hw_templates.foundation.errors import BoardError, InvalidValueError, VerificationError

FAILURES_IN_A_ROW = 3
_FAILURES: dict[type[BoardError | VerificationError], Failure] = {
    UnfinishedRunError: Failure.HANG,
    ConnectionLostError: Failure.LOST,
    VerificationError: Failure.WRONG,
}


@dataclass(frozen=True, kw_only=True)
class CampaignRequest:
    """Request for a campaign.

    Attributes:
        target: the board.
        plan: file of the runs.
        project: emitted project of the engine on the board.
        out: file of measurements, which is added to.
        repetitions: of each run.
        timeout_s: for one start.
        store: folder of bitstreams; None for the user's.
        implementation: name of the engine's, which must be the project's; None for that one.
    """

    target: Target
    plan: Path
    project: Path
    out: Path
    repetitions: int = 20
    timeout_s: float = 10.0
    store: Path | None = None
    implementation: str | None = None


@dataclass(frozen=True, kw_only=True)
class MeasuredPlan:
    """A plan after a campaign.

    Attributes:
        measurements: file of the measured runs.
        failures: file of the runs that failed.
        planned, measured, skipped: numbers of runs.
    """

    measurements: Path
    failures: Path
    planned: int
    measured: int
    skipped: int


def measure_plan(request: CampaignRequest, progress: Progress, tell: Callable[[str], None]) -> MeasuredPlan:
    """Measure the runs of a plan that are not measured yet, and keep each at once.

    Args:
        request: the campaign.
        progress: shows how it gets on.
        tell: hears at once, line by line, what runs on which board, and each run that fails.

    Raises:
        InvalidValueError, StorageError: something asked for is wrong or missing, the board or the file is another
            process's, or the file holds runs of another bitstream.
        BoardError: the board cannot be reached, is another, or is not found again; what was measured is kept.
        VerificationError: results or counters of several runs in a row are wrong.
    """
    plan, board = read_plan(request.plan), request.target.board
    check_same_board(plan.board, board, "plan.board", "the board to measure on; plan for that")
    project = read_project(request.project, request.implementation)
    check_same_board(project.board, board, "project.board", "the board to measure on")
    if plan.accelerator != project.accelerator:
        mine, other = project.accelerator.as_dict(), plan.accelerator.as_dict()
        name = next(name for name in mine if mine[name] != other[name])
        expected = f"{mine[name]}, as the project's; plan with --project"
        raise InvalidValueError(f"plan.accelerator.{name}", other[name], expected)
    if plan.implementation != project.implementation:
        expected = f"{project.implementation}, as the project's; plan with --project"
        raise InvalidValueError("plan.implementation", str(plan.implementation), expected)
    hardware = Hardware(board, project.hardware_sha256, project.accelerator, project.implementation)
    with opened(plan, request.out) as campaign:
        if campaign.todo:
            with (
                claimed(request.target, request.project, progress.stage("twin")) as target,
                tempfile.TemporaryDirectory() as folder,
            ):
                _measure_runs(request, target, hardware, campaign, Path(folder), progress, tell)
        planned, skipped = len(plan.runs), campaign.skipped_of_plan
        measured = planned - len(campaign.todo) - skipped
        return MeasuredPlan(
            measurements=request.out,
            failures=campaign.failures,
            planned=planned,
            measured=measured,
            skipped=skipped,
        )


def _measure_runs(
    request: CampaignRequest,
    target: Target,
    hardware: Hardware,
    campaign: Campaign,
    folder: Path,
    progress: Progress,
    tell: Callable[[str], None],
) -> None:
    """Measure run after run, and skip those that fail, unless several do so in a row."""
    plan, todo, in_a_row, bitstream, source = campaign.plan, campaign.todo, 0, "", ""

    def say(text: str) -> None:
        tell(f"           {text}")

    def connect() -> Engine:
        """Return the engine with its bitstream, which must be that of all earlier runs."""
        nonlocal bitstream, source
        session = target.open()
        try:
            bit = bitstream_for(session, hardware, folder, Store(request.store))
            found = hashlib.sha256(bit.read_bytes()).hexdigest()
            campaign.check_bitstream(found)
            engine = Engine(session, hardware, bit, request.timeout_s)
            campaign.check_clock(engine.clock_mhz)
        except BaseException:
            session.close()
            raise
        if not bitstream:
            where = f"{engine.twin.source}, {session.where}" if engine.twin else session.where
            tell(
                f"campaign   {hardware.board.name} ({where}): engine {hardware.hardware_sha256[:12]} at "
                f"{engine.clock_mhz:.4g} MHz, bitstream {found[:12]}"
            )
        bitstream = found
        source = engine.twin.source if engine.twin else f"codesign calibrate run, {session.via}"
        return engine

    def measure(layers: Layers) -> BoardError | VerificationError | None:
        """Measure a run, again when the connection is lost; return the error for which it is skipped, if any."""
        what = random_program(layers, hardware.shape, seed=plan.runs.index(layers))
        while True:
            try:
                measured = bench.measure(what.program, what.image, request.repetitions)
                _check(layers, what, measured, plan)
                break
            except tuple(_FAILURES) as error:
                skipped = campaign.fail(layers, _FAILURES[type(error)], error)
                say(f"{error}{'; run skipped' if skipped else ''}")
                if skipped:
                    return error
        latency_ms, counted = Percentiles.of(measured.ms), measured.counters
        simulated = measured.cycles is not None
        measurement = measurement_of(
            measured,
            layers,
            plan.board,
            hardware,
            source,
            bitstream,
            latency_ms=Percentiles(latency_ms.p50) if simulated else latency_ms,
            repetitions=1 if simulated else request.repetitions,
            counters={name: float(counted[name].sum(dtype=np.float64)) for name in counted.dtype.names or ()},
            # Mappings of one layer resemble each other.
            group=layers_label([ran.layer for ran in layers]),
        )
        campaign.add(measurement)
        return None

    with closing(Bench(connect, say)) as bench, progress.stage("campaign") as update:
        for number, layers in enumerate(todo):
            update(number / len(todo), f"run {number + 1} of {len(todo)}, {campaign.skipped_of_plan} skipped")
            error = measure(layers)
            in_a_row = in_a_row + 1 if error else 0
            if error and in_a_row == FAILURES_IN_A_ROW:
                raise (VerificationError if isinstance(error, VerificationError) else BoardError)(
                    f"{in_a_row} runs in a row failed, the last so: {error}; see to the board, and remove their "
                    f"lines from {campaign.failures} to try them again"
                )


def measurement_of(
    measured: Measured,
    layers: Sequence[MappedLayer],
    board: BoardRecord,
    hardware: Hardware,
    source: str,
    bitstream: str,
    **known: Any,
) -> Measurement:
    """Return today's measurement of layers on our engine; ``known`` are its other fields."""
    accelerator = hardware.accelerator
    # The board's value may exceed the routed clock by its rounding.
    clock_mhz = min(measured.clock_mhz, float(accelerator.clock_mhz))
    return Measurement(
        engine=OWN_ENGINES[hardware.implementation],
        board=board,
        campaign=f"{source} {bitstream[:12]} {clock_mhz:.4g} MHz",
        source=source,
        clock_mhz=clock_mhz,
        date=datetime.now(UTC).date().isoformat(),
        bitstream=bitstream,
        layers=tuple(map(MeasuredLayer.of, layers)),
        accelerator=accelerator,
        run_id=new_run_id(),
        **known,
    )


def _check(layers: Layers, what: RandomProgram, measured: Measured, plan: RunPlan) -> None:
    """Check results and counters against the reference and the stated counts.

    Raises:
        VerificationError: no sound engine gives them.
    """
    if measured.first_pixel != what.first_pixel:
        raise VerificationError(f"result: the engine's first pixel of {layers[-1].layer} is not the reference's")
    counted = measured.counters
    board = load_board(plan.board)
    for name, stated in stated_counters(layers, plan.accelerator, board).items():
        if name in (counted.dtype.names or ()):
            # A layer in bands has a descriptor, and counters, for each.
            of_layers = np.bincount(what.layer_of, counted[name], len(layers))
            wrong = np.flatnonzero(of_layers != stated)
            if len(wrong):
                at = int(wrong[0])
                raise VerificationError(
                    f"counters.{name}: must be {stated[at]:.0f} for {layers[at].layer}, got {of_layers[at]:.0f}"
                )
