"""hls4ml as a template: how its projects are written, simulated and reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.emit.integer_reference import run_integer
from codesign.emit.quantise import quantise_image
from codesign.progress import Update
from codesign.run.folder import Run
from codesign.run.records import CsimRecord
from codesign.run.requests import Trained, load_trained
from codesign.run.searched import read_emitted
from codesign.search.joint_space import JointSpace, Pair
from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES, MeasuredAccuracy
from codesign.supernet.data.data_set import Split
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import fold
from codesign.supernet.training.processes import one_thread
from codesign.templates.hls4ml.network import FixedPointNetwork, fixed_point, hls4ml_network
from codesign.templates.hls4ml.problem import Hls4mlProblem, loss_name
from codesign.templates.hls4ml.project import backend_of, require_hls4ml, simulate, write_hls4ml_project
from codesign.templates.template import (
    ChosenPair,
    Datasheet,
    EmittedPair,
    EmittedProject,
    ReportPart,
    Simulation,
    Template,
    price_figures,
)
from cost_models.hls4ml.estimate import check_hls4ml_fits
from cost_models.hls4ml.stages import reuse_factors, stages
from hw_templates.board import Board
from hw_templates.foundation.json_records import Record, write_record
from hw_templates.hls4ml.parameters import Hls4mlAccelerator, Hls4mlSpace, IoType

DESIGN_FILE = "design.json"
_REFUSED = {
    "workers": "one process prices its pairs",
    "space": "it needs the run's own supernet, whose accuracies at fewer bits it measures",
    "coefficients": "its cost model has coefficients of its own",
    "sanitize": "hls4ml compiles its own way",
}
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
            design = Hls4mlAccelerator(bits, IoType.STREAM, interval_cycles=4096, clock_mhz=100)
            pairs = [Pair(trained.space.decode(row), design) for row in genes]
            results = [quantise_pair(trained, pair, Split.VALIDATION) for pair in pairs]
            losses[loss_name(bits)] = max(0.0, float(np.mean([before - after for _, before, after in results])))
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
        fixed, float32, quantised = quantise_pair(chosen.trained, pair, Split.TEST)
        update(0.6, "hls4ml writes the project")
        write_hls4ml_project(chosen.folder, fixed, pair.accelerator, board)
        network = stages(lower(chosen.trained.space, pair.subnet), pair.accelerator.io_type)
        factors = dict(zip((s.name for s in network), reuse_factors(network, pair.accelerator), strict=True))
        design = Hls4mlDesignRecord(
            board=board.name, backend=backend_of(board), accelerator=pair.accelerator, reuse_factors=factors
        )
        write_record(chosen.folder / DESIGN_FILE, design)
        needs = estimate.resources
        return EmittedProject(
            precision=f"{fixed.bits}-bit fixed point",
            float32=float32,
            quantised=quantised,
            digest=hls4ml_network(fixed, pair.accelerator).digest,
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
        emitted, trained = read_emitted(run, self), load_trained(run)
        pair = emitted.pair
        fixed, _, _ = quantise_pair(trained, pair, Split.TEST)
        test = trained.data.resized(Split.TEST, pair.subnet.resolution).numpy()[: simulation.images]
        update(0.0, "hls4ml compiles and runs")
        board = emitted.problem.joint.board
        model = write_hls4ml_project(emitted.results.project, fixed, pair.accelerator, board)
        agreement = simulate(model, fixed, quantise_image(fixed.network, test, fixed.bits))
        return CsimRecord(
            program_sha256=hls4ml_network(fixed, pair.accelerator).digest,
            images=agreement.images,
            same_class=agreement.same_class,
            largest_difference=agreement.largest_difference,
            tolerance=agreement.tolerance,
        )

    def report(self, emitted: EmittedPair) -> ReportPart:
        """Return sections on the layers and the resources."""
        from codesign.templates.hls4ml.report import report_part

        return report_part(emitted, self.datasheet(emitted))

    def datasheet(self, emitted: EmittedPair) -> Datasheet:
        """Return what a comparison with another template shows."""
        a, figures = emitted.pair.accelerator, price_figures(emitted.problem, emitted.pair)
        interval_ms = emitted.problem.estimate(emitted.pair).interval_ms
        return Datasheet(
            f"with each layer as hardware of its own ({a.io_type}, at most {a.interval_cycles:,} cycles a layer and "
            f"image; test accuracy {emitted.quantised:.2%} at {a.precision_bits} bits), whose latency alone includes "
            "the time of a call",
            {
                "clock": f"{a.clock_mhz} MHz",
                "weights and maps": f"{a.precision_bits} bits",
                "latency, predicted": figures["latency, predicted"],
                "between images, predicted": f"{interval_ms:.4f} ms",
                **figures,
                "subnets a bitstream runs": "this one",
            },
        )


@one_thread()
def quantise_pair(trained: Trained, pair: Pair, split: Split) -> tuple[FixedPointNetwork, float, float]:
    """Return the subnet in fixed point, and its accuracies on a part of the data in floating and in fixed point."""
    workload = lower(trained.space, pair.subnet)
    calibration = trained.data.resized(Split.TRAIN, pair.subnet.resolution)[:CALIBRATION_IMAGES]
    weights = fold(trained.checkpoint.supernet(), pair.subnet, calibration)
    fixed = fixed_point(workload, weights, calibration.numpy(), pair.accelerator.precision_bits)
    images = quantise_image(fixed.network, trained.data.resized(split, pair.subnet.resolution).numpy(), fixed.bits)
    right = run_integer(fixed.network, images).argmax(axis=1) == trained.data.labels[split].numpy()
    measured = MeasuredAccuracy(trained.checkpoint, trained.data, split=split)
    before = float(measured.accuracy(trained.space.encode(pair.subnet)[None])[0])
    return fixed, before, float(right.mean())
