"""hls4ml as a template: how its projects are written, simulated and reported."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from codesign.emit.map_scales import Grid
from codesign.progress import Update
from codesign.report.page import Section, Table
from codesign.report.tables import comparison_section, layer_shape
from codesign.run.folder import Run
from codesign.run.records import CsimRecord
from codesign.run.requests import Trained, load_trained
from codesign.run.searched import read_emitted
from codesign.search.joint_space import JointSpace, Pair
from codesign.supernet.data.data_set import Split
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine.breeding import draw_fitting
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.template import EngineTemplate
from codesign.templates.hls4ml.network import FixedPointNetwork, Hls4mlNetwork
from codesign.templates.hls4ml.problem import Hls4mlProblem, loss_name
from codesign.templates.hls4ml.project import backend_of, require_hls4ml, simulate, write_hls4ml_project
from codesign.templates.template import (
    RESOURCE_NAMES,
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
from cost_models.coefficients import load_coefficients
from cost_models.hls4ml.estimate import check_hls4ml_fits
from hw_templates.board import Board
from hw_templates.conv_engine.space import AcceleratorSpace
from hw_templates.foundation.json_records import Record, write_record
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, Hls4mlSpace

DESIGN_FILE = "design.json"
_REFUSED = {
    "workers": "one process prices its pairs",
    "space": "it needs the run's own supernet, whose accuracies at fewer bits it measures",
    "coefficients": "its cost model has coefficients of its own",
    "sanitize": "hls4ml compiles its own way",
    "implementation": "hls4ml has one",
}
_ENGINES = 512
LOSS_SUBNETS = 6
"""Subnets on which the cost of a precision is measured."""


@dataclass(frozen=True, kw_only=True)
class Hls4mlDesignRecord(Record):
    """``design.json`` of a project: what hls4ml was asked for.

    Attributes:
        board: name of the board.
        backend: hls4ml's backend.
        accelerator: parameters of the accelerator.
        reuse_factors: of each layer, by its name.
    """

    board: str
    backend: str
    accelerator: Hls4mlAccelerator
    reuse_factors: dict[str, int]


class Hls4mlTemplate(Template):
    """Each layer of one subnet in hardware of its own, emitted by hls4ml."""

    name = "hls4ml"
    accelerator = Hls4mlAccelerator
    demo_space = "digits-stream"
    has_losses = True
    refused = _REFUSED

    def space(self, board: Board) -> Hls4mlSpace:
        """Return the accelerators that a search may choose from on ``board``."""
        return Hls4mlSpace(board)

    def problem(self, joint: JointSpace[Any], coefficients: str, losses: Mapping[str, float]) -> Hls4mlProblem:
        """Return the prices of pairs by the model of hls4ml's layers, which has coefficients of its own.

        Raises:
            UnsupportedLayerError: hls4ml cannot convert the subnets; names a layer and says why.
        """
        del coefficients
        return Hls4mlProblem(joint, losses=losses)

    def describe(self, accelerator: Hls4mlAccelerator) -> str:
        """Return the parameters of an accelerator in one line."""
        a = accelerator
        return (
            f"{a.io_type}, {a.precision_bits} bits, {a.clock_mhz} MHz, at most "
            f"{a.interval_cycles:,} cycles a layer and image"
        )

    def require_tools(self) -> None:
        """Check that hls4ml is installed.

        Raises:
            ToolError: it is not, or in another version; says how to install it.
        """
        require_hls4ml()

    def measure_losses(self, trained: Trained) -> dict[str, float]:
        """Measure what each precision costs: mean over random subnets, on the validation part, never negative."""
        genes = trained.space.sample_genes(np.random.default_rng(0), LOSS_SUBNETS)
        losses = {}
        for bits in (6, 8):
            grid = Grid(bits, powers_of_two=True)
            results = [quantise_subnet(trained, trained.space.decode(row), Split.VALIDATION, grid) for row in genes]
            lost = float(np.mean([result.float32 - result.quantised for result in results]))
            losses[loss_name(bits)] = max(0.0, lost)
        return losses

    def emit(self, chosen: ChosenPair, update: Update) -> EmittedProject:
        """Quantise the subnet to the precision of its accelerator and have hls4ml write the project.

        Raises:
            ResourceError: the pair does not fit the board.
            ToolError: hls4ml is not installed, or fails.
        """
        pair, board = chosen.winner.pair, chosen.problem.joint.board
        estimate = chosen.problem.estimate(pair)
        check_hls4ml_fits(estimate, board)
        update(0.1, "quantising")
        fixed, subnet = quantise_pair(chosen.trained, pair)
        update(0.6, "hls4ml writes the project")
        write_hls4ml_project(chosen.folder, fixed, pair.accelerator, board)
        factors = {layer.name: layer.reuse_factor for layer in estimate.layers}
        design = Hls4mlDesignRecord(
            board=board.name, backend=backend_of(board), accelerator=pair.accelerator, reuse_factors=factors
        )
        write_record(chosen.folder / DESIGN_FILE, design)
        needs = estimate.resources
        return EmittedProject(
            precision=f"{fixed.bits}-bit fixed point",
            float32=subnet.float32,
            quantised=subnet.quantised,
            digest=Hls4mlNetwork(fixed, pair.accelerator).digest,
            notes=(
                f"for hls4ml's backend {backend_of(board)}: {needs.dsp} DSP, {needs.bram_18k} BRAM18, {needs.lut:,} "
                f"LUT, {needs.ff:,} FF",
            ),
        )

    def simulate(self, run: Run, simulation: Simulation, update: Update) -> CsimRecord:
        """Compile the project with hls4ml and compare it with the fixed-point network on the test images.

        Raises:
            StorageError: nothing is emitted yet, or its record is corrupt.
            ToolError: hls4ml is not installed, or the code does not compile.
            VerificationError: a logit differs by more than the precision allows.
        """
        require_hls4ml()
        emitted = read_emitted(run, self)
        design = emitted.pair.accelerator
        fixed, subnet = quantise_pair(load_trained(run), emitted.pair)
        update(0.0, "hls4ml compiles and runs")
        model = write_hls4ml_project(emitted.results.project, fixed, design, emitted.problem.joint.board)
        return simulate(model, fixed, subnet.images[: simulation.images], Hls4mlNetwork(fixed, design).digest)

    def report(self, emitted: EmittedPair) -> ReportPart:
        """Return sections on the layers and the resources."""
        problem, design = emitted.problem, emitted.pair.accelerator
        workload, estimate = lower(problem.joint.space, emitted.pair.subnet), problem.estimate(emitted.pair)
        shown = {name: title for name, title in RESOURCE_NAMES.items() if name != "uram"}
        rows = tuple(
            (
                layer.name,
                layer_shape(node.layer),
                f"{layer.reuse_factor:,}",
                f"{layer.busy_cycles:,}",
                *(f"{getattr(layer.resources, name):,}" for name in shown),
            )
            for node, layer in zip(workload, estimate.layers, strict=True)
        )
        layers = Section(
            "The winner's layers",
            f"Each is hardware of its own that passes its map on ({design.io_type}), in {design.precision_bits}-bit "
            f"fixed point at {design.clock_mhz} MHz; its reuse factor, how many products share a multiplier, is the "
            f"largest that keeps it to {design.interval_cycles:,} cycles an image. All of this is predicted.",
            table=Table(("layer", "shape", "reuse factor", "busy cycles", *shown.values()), rows),
        )
        text = "Predicted from hls4ml's C++; no vendor tool has synthesised it."
        return ReportPart(
            (layers, Section("Resources", text, "resources.png"), _comparison(emitted, self.datasheet(emitted)))
        )

    def datasheet(self, emitted: EmittedPair) -> Datasheet:
        """Return what a comparison with another template shows."""
        a = emitted.pair.accelerator
        return datasheet(
            emitted,
            f"with each layer as hardware of its own ({a.io_type}, at most {a.interval_cycles:,} cycles a layer and "
            f"image; test accuracy {emitted.quantised:.2%} at {a.precision_bits} bits), whose latency alone includes "
            "the time of a call",
            bits=a.precision_bits,
            interval_ms=emitted.problem.estimate(emitted.pair).interval_ms,
            subnets="this one",
        )


def quantise_pair(trained: Trained, pair: Pair) -> tuple[FixedPointNetwork, QuantisedSubnet]:
    """Return the subnet in fixed point, and how it does on the test part."""
    bits = pair.accelerator.precision_bits
    subnet = quantise_subnet(trained, pair.subnet, Split.TEST, Grid(bits, powers_of_two=True))
    return FixedPointNetwork(subnet.network, subnet.steps, bits), subnet


def _comparison(emitted: EmittedPair, sheet: Datasheet) -> Section:
    """The same subnet on the engine that is fastest for it among some that fit the board."""
    joint, subnet = emitted.problem.joint, emitted.pair.subnet
    engines = EngineProblem(JointSpace(joint.space, AcceleratorSpace(joint.board)), load_coefficients())
    pricer = engines.pricer()
    drawn = draw_fitting(pricer, np.random.default_rng(0), _ENGINES)
    latency_ms, _ = pricer.price(joint.space.encode(subnet)[None], drawn)
    engine = engines.joint.accelerators.decode(drawn[latency_ms.argmin(axis=1)])[0]
    of_engine = EngineTemplate().datasheet(replace(emitted, pair=Pair(subnet, engine), problem=engines))
    which = f"the fastest for it of {_ENGINES} engines drawn at random that fit"
    sides = {"engine": replace(of_engine, description=which), "hls4ml": sheet}
    return comparison_section(emitted, sides)
