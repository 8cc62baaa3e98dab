"""The engine as a template: how its projects are written, simulated and reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bitstreams.building.toolchain import run_csim, run_rtlsim
from codesign.emit.project import Design, check_isa5_files, check_program_files, project_files, write_project
from codesign.progress import Update
from codesign.report.page import Section, Table
from codesign.report.tables import layer_shape
from codesign.run.folder import Run, read_json
from codesign.run.implementation import read_project
from codesign.run.records import CsimRecord
from codesign.run.requests import Trained
from codesign.run.searched import emitted_pair, emitted_record, load_searched, load_weights
from codesign.search.joint_space import JointSpace, Pair
from codesign.supernet.data.data_set import Split
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine.checks import engine_checks
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.template import (
    Check,
    ChosenPair,
    Datasheet,
    EmittedPair,
    EmittedProject,
    QuantisedSubnet,
    ReportPart,
    Simulation,
    Template,
    datasheet,
    quantise_subnet,
)
from cost_models.closed_form.estimate import Estimate, price
from cost_models.closed_form.fusion import fallbacks
from cost_models.coefficients import load_coefficients
from cost_models.mapping.placement import Placement
from cost_models.resources import check_fits
from cost_models.workload import Workload
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.project.record import PROJECT_FILE, Origin, ProjectAccuracy, ProjectRecord


@dataclass(frozen=True)
class EngineTemplate(Template):
    """One programmable convolution engine that runs any subnet.

    Attributes:
        implementation: of the engine.
    """

    implementation: Implementation = Implementation.HLS

    name = "engine"
    accelerator = Accelerator

    def of_implementation(self, implementation: Implementation) -> "EngineTemplate":
        """Return the template for an implementation of the engine."""
        return replace(self, implementation=implementation)

    def space(self, board: Board) -> AcceleratorSpace:
        """Return the engines that a search may choose from on ``board``."""
        return AcceleratorSpace(board)

    def problem(self, joint: JointSpace[Any], coefficients: str, losses: Mapping[str, float]) -> EngineProblem:
        """Return the prices of pairs by the closed-form model; int8 takes nothing from accuracies.

        Raises:
            InvalidValueError: no such coefficients, or of another board or implementation.
        """
        del losses
        loaded = load_coefficients(coefficients, self.implementation)
        loaded.check_use(joint.board.name)
        return EngineProblem(joint, loaded)

    def describe(self, accelerator: Accelerator) -> str:
        """Return the parameters of an engine in one line."""
        a = accelerator
        return (
            f"{a.pe_rows} x {a.pe_cols} x {a.pe_pixels} PEs, {a.pack} products a DSP, "
            f"{a.clock_mhz} MHz, buffers {a.ifmap_buffers} x {a.ifmap_kib}, {a.weight_buffers} x {a.weight_kib}, "
            f"{a.ofmap_buffers} x {a.ofmap_kib} KiB"
            + (f", 2 x {a.map_kib} KiB for maps that stay on chip" if a.map_kib else "")
            + (", in Verilog" if self.implementation == Implementation.RTL else "")
        )

    def emit(self, chosen: ChosenPair, update: Update) -> EmittedProject:
        """Quantise the subnet to int8 and write the engine with its program.

        Raises:
            ResourceError: the engine does not fit the board.
            StorageError: a file cannot be written.
        """
        update(0.1, "quantising")
        winner, trained = chosen.winner, chosen.trained
        design, subnet = quantised_design(trained, chosen.problem, winner.pair)
        update(0.7, "writing the project")
        origin = Origin(
            study=chosen.study,
            space=trained.space.name,
            checkpoint=trained.checkpoint.digest,
            subnet=winner.pair.subnet.as_dict(),
            rule=winner.rule,
            validation_accuracy=winner.accuracy,
            test_accuracy=ProjectAccuracy(float32=subnet.float32, int8=subnet.quantised),
        )
        files = project_files(design, subnet.images, origin, implementation=self.implementation)
        write_project(chosen.folder, files)
        record = read_json(chosen.folder / PROJECT_FILE, ProjectRecord)
        notes = (f"predicted for this program, slot by slot: {record.predicted.latency_ms:.4f} ms",)
        return EmittedProject(
            precision="int8",
            float32=subnet.float32,
            quantised=subnet.quantised,
            digest=record.digest,
            notes=notes if self.implementation == Implementation.RTL else (),
        )

    def simulate(self, run: Run, simulation: Simulation, update: Update) -> CsimRecord:
        """Make the project's C++ or Verilog into a program, and compare logits bit by bit, and counts one by one.

        Raises:
            InvalidValueError: the project is of another implementation, or sanitizers are asked for where no C++ runs.
            StorageError: nothing is emitted yet, its record is corrupt, or a file was changed since.
            ToolError: make, g++ or Verilator is missing, or the code does not compile.
            VerificationError: a logit or a count differs.
        """
        record = read_project(run.project, simulation.implementation)
        if record.implementation == Implementation.RTL:
            if simulation.sanitize:
                raise InvalidValueError("sanitize", True, f"left out, as {run.project} is of Verilog, which is no C++")
            return self._simulate_rtl(run.project, record, simulation.images, update)
        program = record.program_sha256
        check_program_files(run.project, program)
        update(0.0, "compiling and running")
        result = run_csim(run.project, simulation.sanitize, simulation.images)
        return CsimRecord(
            program_sha256=program, sanitized=simulation.sanitize, images=result.images, layers=result.layers
        )

    def _simulate_rtl(self, project: Path, record: ProjectRecord, images: int | None, update: Update) -> CsimRecord:
        program = check_isa5_files(project, record)
        update(0.0, "Verilator makes a program of the Verilog")
        wanted = record.images if images is None else min(images, record.images)
        result = run_rtlsim(project, wanted, lambda done: update(done / wanted, f"{done} of {wanted} images"))
        return CsimRecord(
            program_sha256=program,
            implementation=Implementation.RTL,
            images=result.images,
            layers=result.layers,
            cycles=result.cycles,
            cycles_per_second=result.cycles_per_second,
        )

    def checks(self, run: Run) -> Sequence[Check]:
        """Return the checks of the run's engine.

        Raises:
            StorageError: nothing is emitted yet, or the project is not as it was emitted.
        """
        searched = load_searched(run, template=self)
        emitted = emitted_pair(searched, emitted_record(searched))
        trained = load_weights(run, searched)
        return engine_checks(emitted, quantise_subnet(trained, emitted.pair.subnet, Split.TEST))

    def report(self, emitted: EmittedPair) -> ReportPart:
        """Return sections on the layers and the resources."""
        from codesign.report.figures import layers_figure

        problem, a = emitted.problem, emitted.pair.accelerator
        workload = lower(problem.joint.space, emitted.pair.subnet)
        estimate = price(workload, a, problem.joint.board, problem.coefficients)
        hls = self.implementation == Implementation.HLS
        lanes = f"{a.lanes} depthwise lanes on its diagonal"
        counted = "C++" if hls else "sizes of the Verilog's memories and arrays"
        sections = (
            Section(
                "The winner's layers",
                "Cycles that the cost model predicts for each layer, by what bounds it; the compute iterations are "
                "exact and equal those that csim counted. " + on_chip_maps(workload, estimate, a),
                "layers.png",
                _layer_table(workload, estimate),
            ),
            Section(
                "Resources",
                f"PE array {a.pe_rows} x {a.pe_cols} x {a.pe_pixels}, {a.pack} products a DSP slice, "
                f"{lanes}, buffers of {a.ifmap_buffers} x {a.ifmap_kib}, "
                f"{a.weight_buffers} x {a.weight_kib} and {a.ofmap_buffers} x {a.ofmap_kib} KiB, 2 x {a.map_kib} KiB "
                f"for maps that stay on chip, {a.axi_bits}-bit ports, {a.clock_mhz} MHz. DSP slices and block memories "
                f"follow from the {counted}; LUT and FF are estimates from the structure of the C++.",
                "resources.png",
            ),
            *_verilog_section(emitted.results, a.clock_mhz),
        )
        return ReportPart(sections, {"layers.png": layers_figure(estimate)})

    def datasheet(self, emitted: EmittedPair) -> Datasheet:
        """Return what a comparison with another template shows."""
        latency_ms = emitted.problem.estimate(emitted.pair).latency_ms
        return datasheet(emitted, "the engine that won", bits=8, interval_ms=latency_ms, subnets="any")


def quantised_design(trained: Trained, problem: EngineProblem, pair: Pair) -> tuple[Design, QuantisedSubnet]:
    """Return a pair as a design, and its subnet in int8 with the accuracies on the test part."""
    board = problem.joint.board
    check_fits(pair.accelerator, board, problem.implementation)
    estimate = price(lower(trained.space, pair.subnet), pair.accelerator, board, problem.coefficients)
    subnet = quantise_subnet(trained, pair.subnet, Split.TEST)
    return Design(subnet.network, pair.accelerator, board, estimate), subnet


def _verilog_section(results: Run, clock_mhz: int) -> tuple[Section, ...]:
    """Return what the simulation of the project found where its engine is Verilog."""
    record = read_json(results.verification, CsimRecord)
    if record.cycles is None:
        return ()
    predicted_ms = read_project(results.project).predicted.latency_ms
    return (
        Section(
            "The engine in Verilog",
            f"{record.images} test images ran through the engine, simulated clock by clock: logits equal the integer "
            "reference bit for bit, and iterations, words and bursts are those that the emitter states. An image takes "
            f"{record.cycles:,} cycles, {record.cycles / clock_mhz / 1000:.4f} ms at {clock_mhz} MHz (simulated); "
            f"the formulas for this program, slot by slot, predict {predicted_ms:.4f} ms.",
        ),
    )


def on_chip_maps(workload: Workload, estimate: Estimate, accelerator: Accelerator) -> str:
    """Say how many feature maps stay on chip, and why the others do not."""
    placements = {layer.name: layer.mapped.placement for layer in estimate.layers}
    kept = sum(placement.ofmap_ring > 0 for placement in placements.values())
    reasons = "".join(f" {sentence}." for sentence in fallbacks(workload, placements, accelerator))
    return f"{kept} of {len(placements)} maps never leave the chip." + reasons


def _placed(placement: Placement) -> str:
    """Say where the input and the output map are, and in how many bands the layer runs."""
    places = (f"{ring} rows on chip" if ring else "DDR" for ring in (placement.ifmap_ring, placement.ofmap_ring))
    return " → ".join(places) + (f", {len(placement.bands)} bands" if len(placement.bands) > 1 else "")


def _layer_table(workload: Workload, estimate: Estimate) -> Table:
    headings = ("layer", "shape", "tile", "maps", "cycles", "compute iterations", "DDR bytes", "bound by")
    rows = []
    for node, layer in zip(workload, estimate.layers, strict=True):
        shape, mapping = node.layer, layer.mapped.mapping
        rows.append(
            (
                layer.name,
                layer_shape(shape),
                f"{mapping.tile_out_channels}, {mapping.tile_in_channels}, "
                f"{mapping.tile_height}x{mapping.tile_width}, {mapping.loop_order.replace('_', ' ')}",
                _placed(layer.mapped.placement),
                f"{layer.latency_cycles:,.0f}",
                f"{layer.compute_cycles:,}",
                f"{layer.ddr_bytes:,}",
                layer.bound,
            )
        )
    return Table(headings, tuple(rows))
