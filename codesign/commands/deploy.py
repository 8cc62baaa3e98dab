"""``codesign deploy``: the winning pair on a board or its twin, compared with the prediction."""

import hashlib
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstreams.access import bitstream_for, claimed
from bitstreams.board.descriptors import check_program, mapped_layers
from bitstreams.board.driver import Engine, Hardware
from bitstreams.board.power import INTERVAL_S, Energy, energy_of, hwmon_reader, log_power, read_meter
from bitstreams.board.session import Session
from bitstreams.board.target import parse_target
from bitstreams.store.store import Store
from codesign.emit.project import check_program_files
from codesign.progress import Progress
from codesign.run.folder import Run, claiming, read_json
from codesign.run.records import DeployRecord
from codesign.run.requests import TrainRequest
from codesign.supernet.data.data_set import Split
from cost_models.calibration.engines.conv_engine import STARTS_PER_IMAGE
from cost_models.measurements.engine_run import OWN_ENGINE, MeasuredLayer
from cost_models.measurements.measurement import (
    Measurement,
    Percentiles,
    append_measurements,
    new_run_id,
)
from hw_templates.board import check_same_board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import Program, read_program
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import BoardError, CodesignError, InvalidValueError, StorageError, VerificationError
from hw_templates.foundation.json_records import reading, write_record
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

_RAILS_VIAS = ("ssh", "local")
"""Ways to a board on which its power rails are read: where pynq runs on the board itself."""
WINDOW_S = 2.0
"""How long the engine rests, and then works, while power is measured."""


@dataclass(frozen=True, kw_only=True)
class DeployRequest:
    """Settings of a deployment.

    Attributes:
        board: BOARD or BOARD@[USER@]HOST[:PORT].
        via: one of :class:`bitstreams.board.target.Via`.
        power: ``hwmon``, ``rails``, or the path of a meter's CSV; None to measure none.
        repetitions: of the timed image.
        timeout_s: for one start.
        insecure_remote: that a connection without a password beyond loopback is meant.
    """

    board: str
    via: str
    power: str | None = None
    repetitions: int = 50
    timeout_s: float = 10.0
    insecure_remote: bool = False


@dataclass(frozen=True, kw_only=True)
class _Emitted:
    """An emitted project, ready to be deployed."""

    record: ProjectRecord
    program: Program
    images: list[bytes]
    golden: npt.NDArray[np.int8]
    trips: npt.NDArray[np.void]
    labels: IntArray


@claiming
def deploy(run: Run, request: DeployRequest, store: Path | None, progress: Progress) -> DeployRecord:
    """Run all test images on the board, measure latency and energy, and record them in the run.

    What the board did before an error is recorded, too.

    Raises:
        InvalidValueError, StorageError: an option is wrong, or the project is missing or was changed since it was
            emitted; nothing was connected.
        BoardError: the board cannot be reached, is another one, or stops answering.
        VerificationError: logits or counters differ from the reference.
    """
    target = parse_target(request.board, request.via, request.insecure_remote)
    _check_power(request.power, request.via)
    emitted, board = _load_emitted(run), target.board
    check_same_board(board, emitted.record.board, "board", "which the project is for")
    hardware = Hardware(board, emitted.record.hardware_sha256, emitted.record.accelerator)
    with (
        claimed(target, run.project, progress.stage("twin")) as place,
        closing(place.open()) as session,
        tempfile.TemporaryDirectory() as folder,
    ):
        source = _power_source(session, request.power)
        bit = bitstream_for(session, hardware, Path(folder), Store(store))
        engine = Engine(session, hardware, bit, request.timeout_s)
        recorder = _Recorder(
            run.deployment,
            DeployRecord(
                complete=False,
                source="twin" if engine.twin else f"codesign deploy, {session.via}",
                where=session.where,
                board=board.name,
                bitstream=hashlib.sha256(bit.read_bytes()).hexdigest(),
                hardware_sha256=hardware.hardware_sha256,
                measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
                clock_mhz=engine.clock_mhz,
                predicted=emitted.record.predicted,
            ),
        )
        with recorder:
            engine.load_program(emitted.program)
            _run_images(engine, emitted, recorder, progress)
            image, repetitions = emitted.images[0], request.repetitions
            timed = engine.measure(image, repetitions)
            inference_ms = None if engine.twin else Percentiles.of(engine.time_inferences(image, repetitions))
            recorder.update(
                latency_ms=Percentiles.of(timed.ms),
                starts_per_image=timed.starts,
                inference_ms=inference_ms,
                cycles=timed.cycles,
                cycle_shares=_cycle_shares(timed.counters),
            )
            try:
                recorder.update(energy=_measure_energy(engine, image, source))
            finally:
                append_measurements(run.measurements, [_measurement(recorder.record, emitted, repetitions)])
            recorder.update(complete=True)
        engine.close()
    return recorder.record


class _Recorder:
    """Keeps what is known of a deployment, and writes it to a file when the deployment ends, however that happens."""

    def __init__(self, path: Path, record: DeployRecord) -> None:
        self._path = path
        self.record = record

    def update(self, **changes: Any) -> None:
        """Change fields of the record."""
        self.record = replace(self.record, **changes)

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Write the record, and why the deployment failed."""
        if isinstance(error, CodesignError | KeyboardInterrupt):
            self.update(error=str(error) or "interrupted")
        if error is None or self.record.error:
            write_record(self._path, self.record)


def _load_emitted(run: Run) -> _Emitted:
    record = read_json(run.project / PROJECT_FILE, ProjectRecord)
    check_program_files(run.project, record.program_sha256)
    program = read_program(run.project)
    with reading(run.project / "weights/arena.bin", "emit it again"):
        check_program(program, record.accelerator)
    labels = run.settings(TrainRequest).load_data().labels[Split.TEST].numpy()
    try:
        content = (run.project / "weights/images.bin").read_bytes()
        golden = np.frombuffer((run.project / "weights/golden.bin").read_bytes(), np.int8).reshape(record.images, -1)
        trips = np.frombuffer((run.project / "weights/trips.bin").read_bytes(), isa.TRIPS)
    except (OSError, ValueError) as error:
        raise StorageError(f"{run.project}: is no whole project ({error}); emit it again") from error
    size = program.image_words * program.axi_bytes
    if len(content) != record.images * size or len(labels) < record.images or len(trips) != program.layer_count:
        raise StorageError(f"{run.project}: files do not belong together; emit it again")
    images = [content[start : start + size] for start in range(0, len(content), size)]
    return _Emitted(
        record=record, program=program, images=images, golden=golden, trips=trips, labels=labels[: record.images]
    )


def _run_images(engine: Engine, emitted: _Emitted, recorder: _Recorder, progress: Progress) -> None:
    """Run all test images and compare logits and counters with the reference; record how many ran and are right."""
    results: list[bytes] = []
    right, total, where = 0, len(emitted.images), engine.session.where
    recorder.update(images=0, right=0)
    try:
        with progress.stage("test images") as update:
            for label, result in zip(emitted.labels, engine.run(emitted.images), strict=True):
                results.append(result)
                right += int(np.frombuffer(result, np.int8).argmax() == label)
                recorder.update(images=len(results), right=right)
                update(len(results) / total, f"{len(results)} of {total}")
    except BoardError as error:
        raise BoardError(f"{error} ({len(results)} of {total} images ran, {right} right)") from error
    logits = np.frombuffer(b"".join(results), np.int8).reshape(total, -1)
    wrong = int((logits != emitted.golden).any(axis=1).sum())
    if wrong:
        raise VerificationError(f"{where}: logits of {wrong} of {total} images differ from csim's")
    counted, expected = engine.trips(), emitted.trips
    if (counted != expected).any():
        layer = int(np.flatnonzero(counted != expected)[0])
        raise VerificationError(f"{where}: counters of layer {layer} are {counted[layer]}, must be {expected[layer]}")
    recorder.update(accuracy=right / total)


def _check_power(power: str | None, via: str) -> None:
    """Make sure that power can be read as asked for, as far as that is known without the board.

    Raises:
        InvalidValueError: it is no sensor or file, or a sensor that is not reached this way.
        StorageError: the file is no meter's.
    """
    if power in (None, "hwmon"):
        return
    if power == "rails":
        if via not in _RAILS_VIAS:
            raise InvalidValueError("power", power, f"hwmon or a meter's file with --via {via}, which has no rails")
    elif not Path(power).exists():
        raise InvalidValueError("power", power, "hwmon, rails, or the CSV that a meter is writing")
    else:
        read_meter(Path(power))


def _power_source(session: Session, power: str | None) -> Path | tuple[str, Callable[[], float]] | None:
    """Return the source of power readings: a meter's file, or the name and reader of a sensor."""
    if power is None:
        return None
    if power == "hwmon":
        return hwmon_reader(session)
    return _rails(session) if power == "rails" else Path(power)


def _rails(session: Session) -> tuple[str, Callable[[], float]]:
    names = session.rails()
    if not names:
        raise BoardError(f"{session.where}: has no rails with a sensor; use a meter's file")
    # Where the supply itself has a sensor, the other rails are a part of it.
    chosen = ["12V"] if "12V" in names else names
    return f"rails {', '.join(chosen)}", lambda: sum(session.rail_power_w(name) for name in chosen)


def _measure_energy(
    engine: Engine, image: bytes, source: Path | tuple[str, Callable[[], float]] | None
) -> Energy | None:
    """Let the engine rest, then work, while power is read."""
    if source is None:
        return None
    read = partial(read_meter, source) if isinstance(source, Path) else log_power(*source)
    idle_begin = time.time()
    time.sleep(WINDOW_S)
    busy_begin = time.time()
    images = 0
    while time.time() < busy_begin + WINDOW_S:
        images += engine.repeat(image)
    busy_end = time.time()
    time.sleep(3 * INTERVAL_S)  # for a sample behind the window
    return energy_of(read(), (idle_begin, busy_begin), (busy_begin, busy_end), images)


def _cycle_shares(counted: npt.NDArray[np.void]) -> dict[str, float]:
    """Return the shares of all layers' cycles spent computing, and waiting for loads and for stores."""
    total = max(1, int(counted["total_cycles"].sum(dtype=np.int64)))
    return {
        name: int(counted[f"{name}_cycles"].sum(dtype=np.int64)) / total
        for name in ("compute", "load_wait", "store_wait")
    }


def _measurement(record: DeployRecord, emitted: _Emitted, repetitions: int) -> Measurement:
    """Return the measurement that a deployment makes, from what is recorded so far."""
    assert record.source is not None
    assert record.bitstream is not None
    assert record.clock_mhz is not None
    assert record.latency_ms is not None
    assert record.starts_per_image is not None
    project = emitted.record
    return Measurement(
        engine=OWN_ENGINE,
        board=project.board,
        campaign=f"{record.source} {record.bitstream[:12]} {record.clock_mhz:.4g} MHz",
        source=record.source,
        clock_mhz=min(record.clock_mhz, float(project.accelerator.clock_mhz)),
        latency_ms=record.latency_ms,
        date=datetime.now(UTC).date().isoformat(),
        bitstream=record.bitstream,
        layers=tuple(map(MeasuredLayer.of, mapped_layers(emitted.program.descriptors))),
        network=f"program {project.program_sha256[:12]}",
        accelerator=project.accelerator,
        repetitions=repetitions,
        settings={STARTS_PER_IMAGE: record.starts_per_image},
        power_w=None if record.energy is None else record.energy.busy_w,
        run_id=new_run_id(),
    )
