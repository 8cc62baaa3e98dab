"""``codesign report`` of a run that emitted with template hls4ml alone."""

from itertools import accumulate

import numpy as np
from matplotlib.figure import Figure

from codesign.commands.hls4ml.commands import FRONT, SECTION, VERIFICATION, EmittedDataflow, read_emitted
from codesign.commands.hls4ml.comparison import RESOURCE_NAMES, templates_section
from codesign.emit.hls4ml_project import Agreement
from codesign.report.figures import Point, front_figure, resources_figure, training_figure
from codesign.report.page import Fact, Section, Table
from codesign.run.folder import Run, read_json
from codesign.run.records import DataflowFrontsRecord
from codesign.run.requests import load_trained
from codesign.search.breeding import draw_fitting
from codesign.search.joint_space import JointSpace
from codesign.search.pareto import front_array
from codesign.search.pricing import PairPricer
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.space import Space, Subnet
from codesign.supernet.training.checkpoint import Checkpoint
from cost_models.coefficients import Coefficients, load_coefficients
from cost_models.hls4ml.estimate import DataflowEstimate, price_dataflow
from cost_models.resources import RESOURCES
from cost_models.workload import Workload
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.space import AcceleratorSpace

_ENGINES = 512


def dataflow_page(run: Run) -> tuple[str, list[Fact], list[Section], dict[str, Figure]]:
    """Subtitle, facts, sections and pictures by file name.

    Raises:
        StorageError: an earlier command has not run since what it depends on, or something cannot be read.
    """
    trained = load_trained(run)
    emitted = read_emitted(run, trained.space)
    board, workload = emitted.board, lower(trained.space, emitted.pair.subnet)
    estimate = price_dataflow(workload, emitted.pair.accelerator, board)
    agreement = _read_agreement(run)
    coefficients = load_coefficients()
    engine = _fastest_engine(trained.space, emitted.pair.subnet, board, coefficients)
    which = f"the fastest for it of {_ENGINES} engines drawn at random that fit"
    sections = [
        *_sections(emitted, workload, estimate),
        templates_section(emitted, trained.space, engine, which, coefficients),
    ]
    subtitle = f"{trained.space.name} on {board.title}, template hls4ml; winner: {emitted.rule}"
    pictures = _pictures(run, emitted, estimate, trained.checkpoint)
    return subtitle, _facts(emitted, estimate, agreement), sections, pictures


def _read_agreement(run: Run) -> Agreement:
    return read_json(run.folder / SECTION / VERIFICATION, Agreement)


def _fastest_engine(space: Space, subnet: Subnet, board: Board, coefficients: Coefficients) -> Accelerator:
    pricer = PairPricer(JointSpace(space, AcceleratorSpace(board)), coefficients)
    drawn = draw_fitting(pricer, np.random.default_rng(0), _ENGINES)
    latency_ms, _ = pricer.price(space.encode(subnet)[None], drawn)
    return pricer.joint.accelerators.decode(drawn[latency_ms.argmin(axis=1)])[0]


def _pictures(
    run: Run, emitted: EmittedDataflow, estimate: DataflowEstimate, checkpoint: Checkpoint
) -> dict[str, Figure]:
    fronts = read_json(run.folder / SECTION / FRONT, DataflowFrontsRecord)
    predicted, measured = front_array(fronts.predicted), front_array(fronts.measured)
    board, phases = emitted.board, checkpoint.schedule.phases
    starts = accumulate((int(phase.length) for phase in phases[:-1]), initial=1)
    return {
        "front.png": front_figure(
            {"joint": predicted},
            measured,
            Point(emitted.validation_accuracy, estimate.latency_ms, estimate.energy_mj),
            emitted.rule,
        ),
        "resources.png": resources_figure(
            {name: getattr(estimate.resources, name) for name in RESOURCES},
            {name: getattr(board, name) for name in RESOURCES},
            board.title,
        ),
        "training.png": training_figure(
            checkpoint.losses, [(phase.name, start) for phase, start in zip(phases, starts, strict=True)]
        ),
    }


def _facts(emitted: EmittedDataflow, estimate: DataflowEstimate, agreement: Agreement) -> list[Fact]:
    bits = emitted.pair.accelerator.precision_bits
    return [
        Fact(f"test accuracy, {bits}-bit fixed point", f"{emitted.test_fixed_point:.2%}"),
        Fact("test accuracy, float32", f"{emitted.test_float32:.2%}"),
        Fact("latency, predicted", f"{estimate.latency_ms:.4f} ms"),
        Fact("energy, predicted", f"{estimate.energy_mj:.4f} mJ"),
        Fact(
            f"of {agreement.images} test images in hls4ml's C simulation have the same class",
            f"{agreement.same_class:.1%}",
        ),
    ]


def _sections(emitted: EmittedDataflow, workload: Workload, estimate: DataflowEstimate) -> list[Section]:
    design = emitted.pair.accelerator
    rows = tuple(
        (
            layer.name,
            f"{shape.operation} {shape.kernel_height}x{shape.kernel_width}/{shape.stride}, "
            f"{shape.in_channels} → {shape.out_channels}, {shape.out_height}x{shape.out_width}",
            f"{layer.reuse_factor:,}",
            f"{layer.busy_cycles:,}",
            *(f"{getattr(layer.resources, name):,}" for name in RESOURCES if name != "uram"),
        )
        for shape, layer in zip((node.layer for node in workload), estimate.layers, strict=True)
    )
    heads = tuple(title for name, title in RESOURCE_NAMES.items() if name != "uram")
    return [
        Section(
            "Pareto front",
            "Pairs of subnet and dataflow accelerator that no other priced pair beats in accuracy, latency and energy "
            "at once; the winner is chosen among them once their accuracies are measured.",
            "front.png",
        ),
        Section(
            "The winner's layers",
            f"Each is hardware of its own that passes its map on ({design.io_type}), in {design.precision_bits}-bit "
            f"fixed point at {design.clock_mhz} MHz; its reuse factor, how many products share a multiplier, is the "
            f"largest that keeps it to {design.interval_cycles:,} cycles an image. All of this is predicted.",
            table=Table(("layer", "shape", "reuse factor", "busy cycles", *heads), rows),
        ),
        Section("Resources", "Predicted from hls4ml's C++; no vendor tool has synthesised it.", "resources.png"),
        Section("Training", "Loss of progressive shrinking, phase by phase.", "training.png"),
    ]
