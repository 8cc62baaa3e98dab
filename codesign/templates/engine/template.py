"""The engine as a template: how its projects are written, simulated and reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bitstreams.building.toolchain import run_csim, run_rtlsim
from codesign.emit.integer_reference import QuantisedNetwork
from codesign.emit.project import Design, check_program_files, project_files, write_project
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
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.project.record import PROJECT_FILE, Origin, ProjectAccuracy, ProjectRecord

PROVISIONAL = (
    "Prices of the engine in C++ are provisional: its iterations, words and bursts are exact, what each costs in "
    "cycles is not measured yet."
)


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
            digest=record.program_sha256,
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
        verilog = record.implementation == Implementation.RTL
        if verilog and simulation.sanitize:
            raise InvalidValueError("sanitize", True, f"left out, as {run.project} is of Verilog, which is no C++")
        check_program_files(run.project, record.program_sha256)
        update(0.0, "Verilator makes a program of the Verilog" if verilog else "compiling")
        wanted = record.images if simulation.images is None else min(simulation.images, record.images)

        def done(images: int) -> None:
            update(images / wanted, f"{images} of {wanted} images")

        if verilog:
            result = run_rtlsim(run.project, wanted, done)
        else:
            result = run_csim(run.project, wanted, done, sanitize=simulation.sanitize)
        return CsimRecord(
            program_sha256=record.program_sha256,
            implementation=record.implementation,
            sanitized=simulation.sanitize,
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
        assert isinstance(searched.problem, EngineProblem)
        design, _ = quantised_design(trained, searched.problem, emitted.pair)
        return engine_checks(emitted, design)

    def report(self, emitted: EmittedPair) -> ReportPart:
        """Return sections on the layers and the resources."""
        from codesign.report.figures import layers_figure

        problem, a = emitted.problem, emitted.pair.accelerator
        workload = lower(problem.joint.space, emitted.pair.subnet)
        estimate = price(workload, a, problem.joint.board, problem.coefficients)
        provisional = self.implementation == Implementation.HLS
        sections = (
            Section(
                "The winner's layers",
                "Cycles that the cost model predicts for each layer, by what bounds it; the compute iterations are "
                "exact and equal those that csim counted. "
                + (PROVISIONAL + " " if provisional else "")
                + on_chip_maps(workload, estimate, a),
                "layers.png",
                _layer_table(workload, estimate),
            ),
            Section(
                "Resources",
                f"PE array {a.pe_rows} x {a.pe_cols} x {a.pe_pixels}, {a.pack} products a DSP slice, "
                f"{a.lanes} channels a cycle of channel-wise layers on its diagonal, "
                f"buffers of {a.ifmap_buffers} x {a.ifmap_kib}, "
                f"{a.weight_buffers} x {a.weight_kib} and {a.ofmap_buffers} x {a.ofmap_kib} KiB, 2 x {a.map_kib} KiB "
                f"for maps that stay on chip, {a.axi_bits}-bit ports, {a.clock_mhz} MHz. DSP slices and block memories "
                "follow from the sizes of memories and arrays; LUT and FF are estimates from the structure of the C++.",
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
    """Return a pair as a design, and its subnet in int8 with the engine's accuracies on the test part."""
    board = problem.joint.board
    check_fits(pair.accelerator, board, problem.implementation)
    estimate = price(lower(trained.space, pair.subnet), pair.accelerator, board, problem.coefficients)

    def compute(network: QuantisedNetwork, images: Int8Array) -> Int8Array:
        return Design(network, pair.accelerator, board, estimate).compiled().results(images)

    subnet = quantise_subnet(trained, pair.subnet, Split.TEST, compute=compute)
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
