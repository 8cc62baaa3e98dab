"""The emitted project: a folder that compiles, simulates and synthesises without this package."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from codesign.emit.engine_project import ISA5_FILES, CompiledNetwork, compile_network, isa5_files
from codesign.emit.integer_reference import QuantisedNetwork, run_integer
from codesign.emit.program import compile_program, pack_map
from cost_models.closed_form.estimate import Estimate, network_energy_mj
from hw_templates.board import Board, board_record
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.rtl_config import EngineShape
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.atomic_file import write_bytes_atomically, writing
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import record_text
from hw_templates.project.record import PROJECT_FILE, Origin, Prediction, ProjectLayer, ProjectRecord
from hw_templates.project.render import DIGEST_FILE, files_sha256, render

IMAGES_FILE = "weights/images.bin"
PROGRAM_FILES = (
    "weights/arena.bin",
    IMAGES_FILE,
    *(f"weights/{n}" for n in ("golden.bin", "trips.bin", "program.txt")),
)
"""The files whose digest is ``program_sha256`` of the record."""


@dataclass(frozen=True)
class Design:
    """A winning pair, ready to be emitted: the quantised subnet, its accelerator, and their predicted cost."""

    network: QuantisedNetwork
    accelerator: Accelerator
    board: Board
    estimate: Estimate


def project_files(
    design: Design,
    images: Int8Array,
    origin: Origin | None = None,
    *,
    implementation: Implementation = Implementation.HLS,
) -> dict[str, bytes]:
    """Return the whole project as {path: content}; equal arguments give equal bytes.

    Args:
        design: what is emitted.
        images: quantised test images [n, C, H, W] whose logits become the golden vectors.
        origin: where the subnet comes from; None where it was not searched for.
        implementation: of the engine that is to be built; the project holds a program for each.

    Raises:
        InvalidValueError: no test image.
        MappingError, UnsupportedLayerError: the engine cannot run a layer.
    """
    if len(images) == 0:
        raise InvalidValueError("images", 0, "at least one test image")
    hardware, estimate = render(design.accelerator, design.board, implementation=implementation), design.estimate
    program = compile_program(design.network, estimate.mapped, design.accelerator)
    golden = run_integer(design.network, images)
    counts = [(one.compute_cycles, one.ifmap_words, one.weight_words, one.ofmap_words) for one in estimate.layers]
    trips = np.array(counts, dtype=isa.TRIPS)
    layout = "".join(f"{name} {value}\n" for name, value in program.layout().items())
    packed = pack_map(images, design.accelerator).tobytes()
    contents = (program.arena, packed, golden.tobytes(), trips.tobytes(), layout.encode())
    binary = dict(zip(PROGRAM_FILES, contents, strict=True))
    shape = EngineShape(accelerator=design.accelerator, family=design.board.family)
    compiled = compile_network(design.network, estimate.mapped, shape)
    isa5 = isa5_files(compiled, images)
    layers = [(layer.name, layer.mapped.mapping, layer.compute_cycles) for layer in estimate.layers]
    predicted = Prediction(estimate.latency_ms, estimate.start_ms, estimate.energy_mj)
    if implementation == Implementation.RTL:
        layers = compiled.tiled_layers()
        predicted = _predict_verilog(design, compiled)
    record = ProjectRecord(
        board=board_record(design.board),
        part=design.board.part,
        accelerator=design.accelerator,
        hardware_sha256=hardware[DIGEST_FILE].strip(),
        program_sha256=files_sha256(binary),
        implementation=implementation,
        isa5_sha256=files_sha256(isa5 | {IMAGES_FILE: packed}),
        images=len(images),
        input_scale=design.network.input_scale,
        output_scale=design.network.output_scale,
        predicted=predicted,
        layers=tuple(ProjectLayer(name, asdict(mapping), iterations) for name, mapping, iterations in layers),
        origin=origin,
    )
    texts = {**hardware, PROJECT_FILE: record_text(record), "README.md": _readme(design, record)}
    return {**{path: text.encode() for path, text in texts.items()}, **binary, **isa5}


def _predict_verilog(design: Design, compiled: CompiledNetwork) -> Prediction:
    """Return the cost of an image by the formulas for the program, which state each slot, in place of the search's."""
    estimate, board = design.estimate, design.board
    latency_ms = compiled.cycles(board) / (design.accelerator.clock_mhz * 1e3)
    dynamic_mj = estimate.energy_mj - network_energy_mj(0.0, estimate.latency_ms, board)
    return Prediction(latency_ms, 0.0, network_energy_mj(dynamic_mj, latency_ms, board))


def write_project(folder: Path, files: dict[str, bytes]) -> None:
    """Write ``files`` below ``folder``; what already stands there unchanged keeps its time stamp.

    What an earlier project left in the same folders goes. The record is taken away first where anything changes and
    written last: a folder with a record is whole.

    Raises:
        StorageError: a file cannot be written or taken away.
    """
    changed = {
        path
        for path, content in files.items()
        if not ((folder / path).is_file() and (folder / path).read_bytes() == content)
    }
    parts = {path.split("/")[0] for path in files if "/" in path}
    there = (path for part in parts for path in (folder / part).rglob("*") if path.is_file())
    stale = [path for path in there if path.relative_to(folder).as_posix() not in files]
    if changed or stale:
        (folder / PROJECT_FILE).unlink(missing_ok=True)
        changed.add(PROJECT_FILE)
    for file in stale:
        with writing(file):
            file.unlink()
    for path in sorted(changed - {PROJECT_FILE}):
        write_bytes_atomically(folder / path, files[path])
    if changed:
        write_bytes_atomically(folder / PROJECT_FILE, files[PROJECT_FILE])


def check_program_files(folder: Path, program_sha256: str) -> None:
    """Compare the program, the test images and their expected results with the digest that the record holds.

    Raises:
        StorageError: a file is missing, or was changed after the project was emitted.
    """
    _check_files(folder, "weights", PROGRAM_FILES, program_sha256)


def check_isa5_files(folder: Path, record: ProjectRecord) -> str:
    """Compare the program that the Verilog runs with the digest in its project's record, and return the digest.

    Raises:
        StorageError: the project holds none, a file is missing, or one was changed after the project was emitted.
    """
    if record.isa5_sha256 is None:
        raise StorageError(f"{folder}: is older than programs for the Verilog (isa5/); emit it again")
    _check_files(folder, "isa5", (*ISA5_FILES, IMAGES_FILE), record.isa5_sha256)
    return record.isa5_sha256


def _check_files(folder: Path, part: str, paths: tuple[str, ...], sha256: str) -> None:
    try:
        found = files_sha256({path: (folder / path).read_bytes() for path in paths})
    except OSError as error:
        raise StorageError(f"{folder}: is no whole project ({error}); emit it again") from error
    if found != sha256:
        raise StorageError(f"{folder}/{part}: a file was changed after the project was emitted; emit it again")


def _readme(design: Design, record: ProjectRecord) -> str:
    a = design.accelerator
    lanes = EngineShape(accelerator=a, family=design.board.family).lanes
    language, tools, channel_wise = {
        Implementation.HLS: ("HLS C++", "Vitis HLS and Vivado", f"{a.lanes} channels"),
        Implementation.RTL: ("Verilog", "Vivado alone", f"diagonal of the PE array, {lanes} channels"),
    }[record.implementation]
    return f"""# An accelerator for {design.board.title}

Emitted by codesign: a convolution engine, to be built in {language}, and a quantised network as its program.

| | |
|---|---|
| PE array | {a.pe_rows} output channels x {a.pe_cols} input channels x {a.pe_pixels} pixels, {a.pack} products a DSP |
| depthwise unit | {channel_wise} x {a.pe_pixels} pixels |
| buffers | ifmap {a.ifmap_buffers} x {a.ifmap_kib} KiB, weights {a.weight_buffers} x {a.weight_kib} KiB, \
sums {a.ofmap_buffers} x {a.ofmap_kib} KiB, maps that stay on chip 2 x {a.map_kib} KiB |
| memory ports | {a.axi_bits} bits at {a.clock_mhz} MHz |
| network | {len(design.network.layers)} layers |
| predicted latency | {record.predicted.latency_ms:.4f} ms (analytical model, not measured) |

- `make csim` compiles the engine's C++ with g++ and runs {record.images} test images through it: logits must equal the
  integer reference bit for bit, and trip counts the cost model's cycles.
- `make sanitize` does so under the address and undefined-behaviour sanitizers.
- `make rtlsim` makes the engine's second version, the Verilog in `rtl/`, into a program with Verilator and runs the
  same images through it, clock by clock; `isa5/` is its program. Logits must equal its integer reference bit for bit,
  and iterations, words and bursts what `isa5/stated.txt` says.
- `make bitstream` (or `sh build.sh`) makes a bitstream of the engine in {language} with {tools}, 2020.2 or newer;
  `codesign import results.tar` then takes it into a store.

`ENGINE.md` explains the hardware, `project.json` records parameters and digests, `weights/` holds the program, the
test images and the golden vectors.
"""
