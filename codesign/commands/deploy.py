"""``codesign deploy``: the winning pair on a board, or on its twin, beside what was predicted."""

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bitstreams.board.descriptors import mapped_layers
from bitstreams.board.driver import REPEATS, Engine, Hardware, Timing
from bitstreams.board.power import INTERVAL_S, Energy, PowerLog, energy_of, hwmon_reader, read_meter
from bitstreams.board.program_check import check_program
from bitstreams.board.runner_session import RunnerSession
from bitstreams.board.session import Session
from codesign.commands.board_access import Reach, bitstream_for, claimed
from codesign.emit.project import check_program_files
from codesign.progress import Progress
from codesign.run.folder import Run, claiming, read_json, write_json
from codesign.run.requests import recorded_training
from codesign.supernet.data.data_set import Split
from cost_models.calibration.engines.conv_engine import STARTS_PER_IMAGE
from cost_models.measurements.measurement import (
    OWN_ENGINE,
    MeasuredLayer,
    Measurement,
    Percentiles,
    append_measurements,
    new_run_id,
)
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.program import Program, read_program
from hw_templates.foundation.arrays import FloatArray, IntArray
from hw_templates.foundation.errors import BoardError, CodesignError, InvalidValueError, StorageError, VerificationError
from hw_templates.foundation.json_records import reading
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

_RAILS_VIAS = ("ssh", "local")
"""Ways to a board on which its power rails are read: where pynq runs on the board itself."""
WINDOW_S = 2.0
"""How long the engine rests, and then works, while power is measured."""


@dataclass(frozen=True, kw_only=True)
class DeployRequest:
    """What a deployment is asked for.

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
    """What is deployed."""

    record: ProjectRecord
    program: Program
    images: list[bytes]
    golden: npt.NDArray[np.int8]
    trips: npt.NDArray[np.void]
    labels: IntArray


@claiming
def deploy(run: Run, request: DeployRequest, store: Path | None, progress: Progress) -> None:
    """Run all test images on the board, take its times and energy, and record them.

    Raises:
        InvalidValueError, StorageError: something asked for is wrong or missing, or the project was changed since it
            was emitted; nothing was connected.
        BoardError: the board cannot be reached, is another, or stops answering.
        VerificationError: logits or counters differ from the reference.

    What the board did before an error is recorded.
    """
    reach = Reach.of(request.board, request.via, request.insecure_remote)
    _check_power(request.power, request.via)
    emitted, board = _emitted(run), reach.target.board
    if board.name != emitted.record.board:
        raise InvalidValueError("board", board.name, f"{emitted.record.board}, which the project is for")
    digest = emitted.record.hardware_sha256
    hardware = Hardware(board, digest, emitted.record.accelerator)
    with (
        claimed(reach, run.project, progress) as place,
        closing(place.open()) as session,
        tempfile.TemporaryDirectory() as folder,
    ):
        source = _power_source(session, request.power)
        bit = bitstream_for(session, hardware, Path(folder), store)
        engine = Engine(session, hardware, bit, request.timeout_s)
        where = f"twin, {session.where}" if engine.twin else session.where
        progress.say(f"deploy     {board.name} ({where}): engine {digest[:12]} at {engine.clock_mhz:.4g} MHz")
        bitstream, energy = hashlib.sha256(bit.read_bytes()).hexdigest(), None
        with _kept(run) as had:
            engine.load_program(emitted.program)
            logits = _run_images(engine, emitted, had, progress)
            had["accuracy"] = float((logits.argmax(axis=1) == emitted.labels[: len(logits)]).mean())
            progress.say(
                f"           accuracy: {had['accuracy']:.2%} of {len(logits)} test images, bit for bit as the integer "
                "reference"
            )
            timing = engine.time(emitted.images[0], request.repetitions)
            had["latency_ms"] = asdict(_percentiles(timing.engine.ms))
            shares = _shares(engine)
            try:
                energy = _energy(engine, emitted.images[0], source)
            finally:
                measurement = _measurement(engine, emitted, request.repetitions, timing, energy, bitstream)
                append_measurements(run.measurements, [measurement])
            _record(run, engine, emitted, had["accuracy"], timing, shares, energy, bitstream)
        engine.close()
    for line in _lines(engine, emitted, timing, shares, energy):
        progress.say(line)


def _emitted(run: Run) -> _Emitted:
    record = read_json(run.project / PROJECT_FILE, ProjectRecord)
    check_program_files(run.project, record.program_sha256)
    program = read_program(run.project)
    with reading(run.project / "weights/arena.bin", "emit it again"):
        check_program(program, record.accelerator)
    labels = recorded_training(run).load_data().labels[Split.TEST].numpy()
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


@contextmanager
def _kept(run: Run) -> Iterator[dict[str, Any]]:
    """What is put in is recorded where the block does not come to its end."""
    had: dict[str, Any] = {}
    try:
        yield had
    except (CodesignError, KeyboardInterrupt) as error:
        write_json(run.deployment, {"complete": False, "error": str(error) or "interrupted", **had})
        raise


def _run_images(engine: Engine, emitted: _Emitted, had: dict[str, Any], progress: Progress) -> npt.NDArray[np.int8]:
    """All logits, compared with the reference; how many were had, and how many of them are right, goes into ``had``."""
    results: list[bytes] = []
    had |= {"images": 0, "right": 0}
    try:
        with progress.stage("test images") as update:
            for result in engine.run(emitted.images):
                had["right"] += int(np.frombuffer(result, np.int8).argmax() == emitted.labels[had["images"]])
                had["images"] += 1
                results.append(result)
                update(len(results) / len(emitted.images), f"{len(results)} of {len(emitted.images)}")
    except BoardError as error:
        raise BoardError(
            f"{error} ({had['images']} of {len(emitted.images)} images ran, {had['right']} right)"
        ) from error
    logits = np.frombuffer(b"".join(results), np.int8).reshape(len(results), -1)
    wrong = int((logits != emitted.golden).any(axis=1).sum())
    if wrong:
        raise VerificationError(
            f"{engine.session.where}: logits of {wrong} of {len(results)} images differ from csim's"
        )
    counted, expected = engine.trips(), emitted.trips
    if (counted != expected).any():
        layer = int(np.flatnonzero(counted != expected)[0])
        raise VerificationError(
            f"{engine.session.where}: counters of layer {layer} are {counted[layer]}, must be {expected[layer]}"
        )
    return logits


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
    """What power is read from: a meter's file, or a sensor's name and reader."""
    if power is None:
        return None
    if power == "hwmon":
        return hwmon_reader(session)
    return _rails(session) if power == "rails" else Path(power)


def _rails(session: Session) -> tuple[str, Callable[[], float]]:
    assert isinstance(session, RunnerSession)
    names = session.rails()
    if not names:
        raise BoardError(f"{session.where}: has no rails with a sensor; use a meter's file")
    # Where the supply itself has a sensor, the other rails are a part of it.
    chosen = ["12V"] if "12V" in names else names
    return f"rails {', '.join(chosen)}", lambda: sum(session.rail_power_w(name) for name in chosen)


def _energy(engine: Engine, image: bytes, source: Path | tuple[str, Callable[[], float]] | None) -> Energy | None:
    """Let the engine rest, then work, while power is read."""
    if source is None:
        return None
    read = partial(read_meter, source) if isinstance(source, Path) else PowerLog(*source).stop
    idle_begin = time.time()
    time.sleep(WINDOW_S)
    busy_begin = time.time()
    images = 0
    while time.time() < busy_begin + WINDOW_S:
        images += engine.repeat(image)
    busy_end = time.time()
    time.sleep(3 * INTERVAL_S)  # for a sample behind the window
    return energy_of(read(), (idle_begin, busy_begin), (busy_begin, busy_end), images)


def _percentiles(times_ms: FloatArray) -> Percentiles:
    low, middle, high = (float(value) for value in np.percentile(times_ms, [5, 50, 95]))
    return Percentiles(p50=middle, p05=low, p95=high)


def _shares(engine: Engine) -> dict[str, float]:
    """Shares of all layers' cycles in which the engine computed, and in which slots waited for loads or stores."""
    counted = engine.counters()
    total = max(1, int(counted["total_cycles"].sum(dtype=np.int64)))
    return {
        name: int(counted[f"{name}_cycles"].sum(dtype=np.int64)) / total
        for name in ("compute", "load_wait", "store_wait")
    }


def _record(
    run: Run,
    engine: Engine,
    emitted: _Emitted,
    accuracy: float,
    timing: Timing,
    shares: dict[str, float],
    energy: Energy | None,
    bitstream: str,
) -> None:
    write_json(
        run.deployment,
        {
            "complete": True,
            "source": _source(engine),
            "board": emitted.record.board,
            "bitstream": bitstream,
            "hardware_sha256": emitted.record.hardware_sha256,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "clock_mhz": timing.clock_mhz,
            "images": len(emitted.images),
            "accuracy": accuracy,
            "latency_ms": asdict(_percentiles(timing.engine.ms)),
            "starts_per_image": timing.engine.starts,
            "inference_ms": None if engine.twin else asdict(_percentiles(timing.inference_ms)),
            "cycles": timing.engine.cycles,
            "cycle_shares": shares,
            "energy": None if energy is None else asdict(energy),
            "predicted": asdict(emitted.record.predicted),
        },
    )


def _source(engine: Engine) -> str:
    return "twin" if engine.twin else f"codesign deploy, {engine.session.via}"


def _measurement(
    engine: Engine,
    emitted: _Emitted,
    repetitions: int,
    timing: Timing,
    energy: Energy | None,
    bitstream: str,
) -> Measurement:
    source = _source(engine)
    return Measurement(
        engine=OWN_ENGINE,
        board=emitted.record.board,
        campaign=f"{source} {bitstream[:12]} {timing.clock_mhz:.4g} MHz",
        source=source,
        clock_mhz=min(timing.clock_mhz, float(emitted.record.accelerator.clock_mhz)),
        latency_ms=_percentiles(timing.engine.ms),
        date=datetime.now(UTC).date().isoformat(),
        bitstream=bitstream,
        layers=tuple(map(MeasuredLayer.of, mapped_layers(_descriptors(emitted.program)))),
        network=f"program {emitted.record.program_sha256[:12]}",
        accelerator=emitted.record.accelerator,
        repetitions=repetitions,
        settings={STARTS_PER_IMAGE: timing.engine.starts},
        power_w=None if energy is None else energy.busy_w,
        run_id=new_run_id(),
    )


def _descriptors(program: Program) -> npt.NDArray[np.void]:
    return np.frombuffer(program.arena, isa.DESCRIPTOR, program.layer_count, program.program_word * program.axi_bytes)


def _lines(
    engine: Engine, emitted: _Emitted, timing: Timing, shares: dict[str, float], energy: Energy | None
) -> Iterator[str]:
    predicted = emitted.record.predicted
    latency, missing_ms = _percentiles(timing.engine.ms), (1 - timing.engine.starts) * predicted.start_ms
    comparable_ms = predicted.latency_ms - missing_ms
    deviation = latency.p50 / comparable_ms - 1
    how = "simulated by the twin" if engine.twin else f"5 to 95 %: {latency.p05:.4g} to {latency.p95:.4g} ms"
    yield (
        f"           latency: {latency.p50:.4g} ms an image ({how}); predicted {comparable_ms:.4g} ms, {deviation:+.1%}"
    )
    if missing_ms:
        host = f"the board's clock, {REPEATS} images a start"
        clock = host if engine.session.times_on_board else "the engine's counters"
        yield f"           timed by {clock}; {missing_ms:.3g} ms of the start are left out of both"
    yield (
        f"           cycles: {shares['compute']:.0%} computing, {shares['load_wait']:.0%} waiting for loads, "
        f"{shares['store_wait']:.0%} for stores, the rest setting up"
    )
    if not engine.twin:
        whole = _percentiles(timing.inference_ms)
        yield f"           host: {whole.p50 - latency.p50:.4g} ms more an image, 95 % below {whole.p95:.4g} ms in all"
    if energy is None:
        yield f"           energy: not measured; predicted {predicted.energy_mj:.4g} mJ an image"
    else:
        yield (
            f"           energy: {energy.total_mj:.4g} mJ an image, {energy.above_idle_mj:.4g} of it above idle "
            f"({energy.source}: {energy.busy_w:.3g} W busy, {energy.idle_w:.3g} W idle); "
            f"predicted {predicted.energy_mj:.4g} mJ"
        )
