"""``codesign deploy``: the winning pair on a board or its twin, compared with the prediction."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstreams.access import bitstream_for, claimed
from bitstreams.board.driver import Engine
from bitstreams.board.hardware import Hardware
from bitstreams.board.power import INTERVAL_S, Energy, PowerTrace, energy_of, hwmon_reader, log_power, read_meter
from bitstreams.board.session import Session
from bitstreams.board.target import Target
from bitstreams.store.store import Store
from codesign.commands.calibration.measure import measurement_of
from codesign.emit.network import IMAGES_FILE
from codesign.emit.project import check_program_files
from codesign.progress import Progress
from codesign.run.folder import Run, claiming
from codesign.run.implementation import read_project
from codesign.run.records import DeployRecord
from codesign.run.requests import TrainRequest
from codesign.supernet.data.data_set import Split
from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.measurements.measurement import Percentiles, append_measurements
from hw_templates.board import check_same_board, load_board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import FOLDER, Program, read_program
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import BoardError, CodesignError, InvalidValueError, StorageError, VerificationError
from hw_templates.foundation.json_records import check_record, reading, write_record
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

_PowerReader = Callable[[], Callable[[], PowerTrace]]
"""Begins to read power, and returns what ends that and returns what was read."""
WINDOW_S = 2.0
"""How long the engine rests, and then works, while power is measured."""


@dataclass(frozen=True, kw_only=True)
class _Emitted:
    """An emitted project, ready to be deployed."""

    record: ProjectRecord
    hardware: Hardware
    layers: tuple[MappedLayer, ...]
    program: Program
    images: list[bytes]
    golden: npt.NDArray[np.int8]
    trips: npt.NDArray[np.void]
    labels: IntArray


@dataclass
class _Deployment:
    """Record of a deployment that goes on."""

    record: DeployRecord

    def learn(self, **known: Any) -> None:
        """Take in values of the record by name."""
        self.record = replace(self.record, **known)

    @contextmanager
    def written_to(self, path: Path) -> Iterator[None]:
        """Write the record when the deployment ends, with the reason where it failed."""
        try:
            yield
            self.learn(complete=True)
        except (CodesignError, KeyboardInterrupt) as error:
            self.learn(error=str(error) or "interrupted")
            raise
        finally:
            write_record(path, self.record)


@claiming
def deploy(
    run: Run,
    target: Target,
    store: Path | None,
    progress: Progress,
    *,
    power: str | None = None,
    repetitions: int = 50,
    timeout_s: float = 10.0,
    implementation: str | None = None,
) -> DeployRecord:
    """Run all test images on the board, measure latency and energy, and record them in the run.

    What the board did before an error is recorded, too.

    Args:
        run: run with an emitted project.
        target: the board.
        store: folder of bitstreams; None for the user's.
        progress: shows progress.
        power: ``hwmon``, ``rails``, or the path of a meter's CSV; None to measure none.
        repetitions: of the timed image.
        timeout_s: for one start.
        implementation: name of the engine's, which must be the project's; None for that one.

    Raises:
        InvalidValueError, StorageError: an option is wrong, or the project is missing or was changed since it was
            emitted; nothing was connected.
        BoardError: the board cannot be reached, is another one, or stops answering.
        VerificationError: logits or counters differ from the reference.
    """
    _check_power(power, target.via)
    emitted, board = _load_emitted(run, implementation), target.board
    project, hardware = emitted.record, emitted.hardware
    check_same_board(board, project.board, "board", "which the project is for")
    with (
        claimed(target, run.project, progress.stage("twin")) as place,
        closing(place.open()) as session,
        tempfile.TemporaryDirectory() as folder,
    ):
        read_power = _power_reader(session, power)
        bit = bitstream_for(session, hardware, Path(folder), Store(store))
        engine = Engine(session, hardware, bit, timeout_s)
        source = engine.twin.source if engine.twin else f"codesign deploy, {session.via}"
        bitstream = hashlib.sha256(bit.read_bytes()).hexdigest()
        deployment = _Deployment(
            DeployRecord(
                complete=False,
                source=source,
                where=session.where,
                board=board.name,
                bitstream=bitstream,
                hardware_sha256=hardware.hardware_sha256,
                measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
                clock_mhz=engine.clock_mhz,
                predicted=project.predicted,
            )
        )
        with deployment.written_to(run.deployment):
            engine.load_program(emitted.program)
            _run_images(engine, emitted, deployment, progress)
            image = emitted.images[0]
            timed = engine.measure(image, repetitions)
            latency_ms = Percentiles.of(timed.ms)
            deployment.learn(
                inference_ms=None if engine.twin else Percentiles.of(engine.time_inferences(image, repetitions)),
                latency_ms=latency_ms,
                cycles=timed.cycles,
                cycle_shares=_cycle_shares(timed.counters),
            )
            energy: Energy | None = None
            try:
                if read_power:
                    energy = _measure_energy(engine, image, read_power)
                    deployment.learn(energy=energy)
            finally:
                measured = measurement_of(
                    timed,
                    emitted.layers,
                    project.board,
                    hardware,
                    source,
                    bitstream,
                    latency_ms=latency_ms,
                    network=f"program {project.program_sha256[:12]}",
                    repetitions=repetitions,
                    power_w=energy.busy_w if energy else None,
                )
                append_measurements(run.measurements, [measured])
        engine.close()
    return deployment.record


def _load_emitted(run: Run, asked: str | None = None) -> _Emitted:
    project = run.project
    record = read_project(project, asked)
    hardware = Hardware(load_board(record.board), record.hardware_sha256, record.accelerator, record.implementation)
    check_program_files(project, record.program_sha256)
    program, folder = read_program(project), project / FOLDER
    with reading(folder / "arena.bin", "emit it again"):
        hardware.check(program)
    with reading(project / PROJECT_FILE, "emit it again"):
        layers = tuple(check_record(layer.mapped, MappedLayer, "project.layers") for layer in record.layers)
    labels = run.settings(TrainRequest).load_data().labels[Split.TEST].numpy()
    try:
        content = (project / IMAGES_FILE).read_bytes()
        golden = np.frombuffer((folder / "golden.bin").read_bytes(), np.int8).reshape(record.images, -1)
        trips = _stated_trips(folder)
    except (OSError, ValueError) as error:
        raise StorageError(f"{project}: is no whole project ({error}); emit it again") from error
    size = program.image_words * program.axi_bytes
    if len(content) != record.images * size or len(labels) < record.images or len(trips) != program.layer_count:
        raise StorageError(f"{project}: files do not belong together; emit it again")
    images = [content[start : start + size] for start in range(0, len(content), size)]
    return _Emitted(
        record=record,
        hardware=hardware,
        layers=layers,
        program=program,
        images=images,
        golden=golden,
        trips=trips,
        labels=labels[: record.images],
    )


def _stated_trips(folder: Path) -> npt.NDArray[np.void]:
    """Return what the emitter states of each layer, from the lines ``layer ITERATIONS IFMAP WEIGHT OFMAP NAME``."""
    lines = [line.split() for line in (folder / "stated.txt").read_text().splitlines()]
    return np.array([tuple(map(int, words[1:5])) for words in lines if words[0] == "layer"], isa.TRIPS)


def _run_images(engine: Engine, emitted: _Emitted, deployment: _Deployment, progress: Progress) -> None:
    """Run all test images and compare logits and counters with the reference; note how many ran and are right."""
    results: list[bytes] = []
    right, total, where = 0, len(emitted.images), engine.session.where
    deployment.learn(images=0, right=0)
    try:
        with progress.stage("test images") as update:
            for label, result in zip(emitted.labels, engine.run(emitted.images), strict=True):
                results.append(result)
                right += int(np.frombuffer(result, np.int8).argmax() == label)
                deployment.learn(images=len(results), right=right)
                update(len(results) / total, f"{len(results)} of {total}")
    except BoardError as error:
        raise BoardError(f"{error} ({len(results)} of {total} images ran, {right} right)") from error
    logits = np.frombuffer(b"".join(results), np.int8).reshape(total, -1)
    if wrong := int((logits != emitted.golden).any(axis=1).sum()):
        raise VerificationError(f"{where}: logits of {wrong} of {total} images differ from the reference")
    counted, expected = engine.trips(), emitted.trips
    if (counted != expected).any():
        layer = int(np.flatnonzero(counted != expected)[0])
        raise VerificationError(f"{where}: counters of layer {layer} are {counted[layer]}, must be {expected[layer]}")
    deployment.learn(accuracy=right / total)


def _check_power(power: str | None, via: str) -> None:
    """Make sure that power can be read as asked for, as far as that is known without the board.

    Raises:
        InvalidValueError: it is no sensor or file, or a sensor that is not reached this way.
        StorageError: the file is no meter's.
    """
    if power in (None, "hwmon"):
        return
    if power == "rails":
        # Rails are read where pynq runs on the board itself.
        if via not in ("ssh", "local"):
            raise InvalidValueError("power", power, f"hwmon or a meter's file with --via {via}, which has no rails")
    elif not Path(power).exists():
        raise InvalidValueError("power", power, "hwmon, rails, or the CSV that a meter is writing")
    else:
        read_meter(Path(power))


def _power_reader(session: Session, power: str | None) -> _PowerReader | None:
    """Return the reader of what is asked for; None to read none."""
    if power is None:
        return None
    if power == "hwmon":
        return partial(log_power, *hwmon_reader(session))
    if power != "rails":
        return lambda: partial(read_meter, Path(power))
    names = session.rails()
    if not names:
        raise BoardError(f"{session.where}: has no rails with a sensor; use a meter's file")
    # Where the supply itself has a sensor, the other rails are a part of it.
    chosen = ["12V"] if "12V" in names else names
    return partial(log_power, f"rails {', '.join(chosen)}", lambda: sum(map(session.rail_power_w, chosen)))


def _measure_energy(engine: Engine, image: bytes, read_power: _PowerReader) -> Energy:
    """Let the engine rest, then work, while power is read."""
    read = read_power()
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
