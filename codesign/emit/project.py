"""The emitted project: a folder that compiles, simulates and synthesises without this package."""

from dataclasses import asdict, dataclass
from pathlib import Path

from codesign.emit.integer_reference import QuantisedNetwork
from codesign.emit.network import PROGRAM_FILES, CompiledNetwork, compile_network, program_files
from cost_models.closed_form.estimate import Estimate, network_energy_mj
from hw_templates.board import Board, board_record
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.atomic_file import write_bytes_atomically, writing
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.json_records import record_text
from hw_templates.project.record import PROJECT_FILE, Origin, Prediction, ProjectLayer, ProjectRecord
from hw_templates.project.render import DIGEST_FILE, files_sha256, render

_FORMER_FOLDERS = ("include", "src", "weights")
"""What projects of version 1 of the engine held."""


@dataclass(frozen=True)
class Design:
    """A winning pair, ready to be emitted: the quantised subnet, its accelerator, and their predicted cost."""

    network: QuantisedNetwork
    accelerator: Accelerator
    board: Board
    estimate: Estimate

    def compiled(self) -> CompiledNetwork:
        """Return the network as a program for the engine.

        Raises:
            MappingError, UnsupportedLayerError: the engine cannot run a layer.
        """
        shape = EngineShape(accelerator=self.accelerator, family=self.board.family)
        return compile_network(self.network, self.estimate.mapped, shape)


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
        implementation: of the engine that is to be built; both run the same program.

    Raises:
        InvalidValueError: no test image.
        MappingError, UnsupportedLayerError: the engine cannot run a layer.
    """
    if len(images) == 0:
        raise InvalidValueError("images", 0, "at least one test image")
    hardware = render(design.accelerator, design.board, implementation=implementation)
    compiled = design.compiled()
    program = program_files(compiled, images)
    record = ProjectRecord(
        board=board_record(design.board),
        part=design.board.part,
        accelerator=design.accelerator,
        hardware_sha256=hardware[DIGEST_FILE].strip(),
        program_sha256=files_sha256(program),
        implementation=implementation,
        images=len(images),
        input_scale=design.network.input_scale,
        output_scale=design.network.output_scale,
        predicted=_predict(design, compiled, implementation),
        layers=tuple(ProjectLayer(name, asdict(ran), iterations) for name, ran, iterations in compiled.tiled_layers()),
        origin=origin,
    )
    texts = {**hardware, PROJECT_FILE: record_text(record), "README.md": _readme(design, record)}
    return {**{path: text.encode() for path, text in texts.items()}, **program}


def _predict(design: Design, compiled: CompiledNetwork, implementation: Implementation) -> Prediction:
    """Return the cost of an image: the search's price of the C++; of the Verilog, what is stated slot by slot."""
    estimate, board = design.estimate, design.board
    if implementation == Implementation.HLS:
        return Prediction(estimate.latency_ms, estimate.energy_mj)
    latency_ms = compiled.cycles(board) / (design.accelerator.clock_mhz * 1e3)
    dynamic_mj = estimate.energy_mj - network_energy_mj(0.0, estimate.latency_ms, board)
    return Prediction(latency_ms, network_energy_mj(dynamic_mj, latency_ms, board))


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
    parts = {path.split("/")[0] for path in files if "/" in path} | set(_FORMER_FOLDERS)
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
    try:
        found = files_sha256({path: (folder / path).read_bytes() for path in PROGRAM_FILES})
    except OSError as error:
        raise StorageError(f"{folder}: is no whole project ({error}); emit it again") from error
    if found != program_sha256:
        raise StorageError(f"{folder}/program: a file was changed after the project was emitted; emit it again")


def _readme(design: Design, record: ProjectRecord) -> str:
    a = design.accelerator
    language, tools = {
        Implementation.HLS: ("HLS C++ (`hls/`)", "Vitis HLS 2021.2 or newer and Vivado 2020.2 or newer"),
        Implementation.RTL: ("Verilog (`rtl/`)", "Vivado 2020.2 or newer"),
    }[record.implementation]
    return f"""# An accelerator for {design.board.title}

Emitted by codesign: a convolution engine, to be built from {language}, and a quantised network as its program.

| | |
|---|---|
| PE array | {a.pe_rows} output channels x {a.pe_cols} input channels x {a.pe_pixels} pixels, {a.pack} products a DSP |
| channel-wise layers | diagonal of the PE array, {a.lanes} channels x {a.pe_pixels} pixels |
| buffers | ifmap {a.ifmap_buffers} x {a.ifmap_kib} KiB, weights {a.weight_buffers} x {a.weight_kib} KiB, \
sums {a.ofmap_buffers} x {a.ofmap_kib} KiB, maps that stay on chip 2 x {a.map_kib} KiB |
| memory ports | {a.axi_bits} bits at {a.clock_mhz} MHz |
| network | {len(design.network.layers)} layers |
| predicted latency | {record.predicted.latency_ms:.4f} ms (analytical model, not measured) |

The engine has two implementations that run the same program with the same results: the C++ in `hls/` and the Verilog
in `rtl/`. Logits must equal the integer reference bit for bit, and iterations, words and bursts what
`program/stated.txt` says.

- `make csim` compiles the C++ with g++ and runs {record.images} test images through it.
- `make sanitize` does so under the address and undefined-behaviour sanitizers, with two images.
- `make rtlsim` makes the Verilog into a program with Verilator and runs the same images through it, clock by clock.
- `make bitstream` (or `sh build.sh`) makes a bitstream of the engine from {language} with {tools};
  `codesign import results.tar` then takes it into a store.

`ENGINE.md` explains the hardware, `project.json` records parameters and digests, `program/` holds the program, the test
images, their results, and what a run counts.
"""
