"""``codesign report``: one page with the pictures of a run."""

import io
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from codesign.progress import Progress
from codesign.report.figures import (
    Point,
    front_figure,
    layers_figure,
    predictor_figure,
    resources_figure,
    training_figure,
)
from codesign.report.page import Fact, Section, Table, render_page
from codesign.run import Run, read_json
from codesign.supernet.lowering import lower
from codesign.supernet.space import Subnet
from codesign.verbs.context import Searched, load_searched
from cost_models.estimate import Estimate, price
from cost_models.resources import RESOURCES, estimate_resources
from cost_models.workload import Workload
from hw_templates.accelerator import Accelerator
from hw_templates.atomic_file import write_bytes_atomically, write_text_atomically
from hw_templates.errors import StorageError

DOTS_PER_INCH = 130


@dataclass(frozen=True)
class Results:
    """Everything the page is made of."""

    searched: Searched
    project: dict[str, Any]
    fronts: dict[str, Any]
    measured_front: dict[str, Any]
    quality: dict[str, Any]
    verification: dict[str, Any]
    accelerator: Accelerator
    workload: Workload
    estimate: Estimate


def report(run: Run, progress: Progress) -> None:
    """Draw the run.

    Raises:
        StorageError: an earlier verb has not run since what it depends on, or something cannot be read or written.
    """
    with progress.stage("report") as update:
        results = _read(run)
        pictures = _pictures(results)
        for index, (name, figure) in enumerate(pictures.items()):
            update(index / len(pictures), name)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
            write_bytes_atomically(run.report / name, buffer.getvalue())
        origin = results.project["origin"]
        subtitle = f"{results.searched.trained.space.name} on {results.searched.board.title}; winner: {origin['rule']}"
        page = render_page(f"codesign: {run.folder.name}", subtitle, _facts(results), _sections(results))
        write_text_atomically(run.report / "index.html", page)
    progress.say(f"report     {run.report / 'index.html'}")


def _read(run: Run) -> Results:
    searched = load_searched(run)
    project, fronts = read_json(run.project / "project.json"), read_json(run.fronts)
    verification = read_json(run.verification)
    if verification["program_sha256"] != project["program_sha256"]:
        raise StorageError(f"{run.verification}: of an earlier project; run `codesign csim {run.folder}` first")
    accelerator = Accelerator.from_dict(project["accelerator"])
    subnet = Subnet.from_dict(project["origin"]["subnet"])
    workload = lower(searched.trained.space, subnet)
    return Results(
        searched=searched,
        project=project,
        fronts=fronts,
        measured_front=read_json(run.measured_front),
        quality=read_json(run.predictor_quality),
        verification=verification,
        accelerator=accelerator,
        workload=workload,
        estimate=price(workload, accelerator, searched.board, searched.task.coefficients),
    )


def _pictures(results: Results) -> dict[str, Figure]:
    """File name to picture."""
    board, estimate, checkpoint = results.searched.board, results.estimate, results.searched.trained.checkpoint
    used = estimate_resources(results.accelerator, board)
    fronts = {name: np.array(values) for name, values in results.fronts["fronts"].items()}
    left_out = {name: np.array(values) for name, values in results.quality["left_out"].items()}
    phases = checkpoint.schedule.phases
    starts = accumulate((phase.steps for phase in phases[:-1]), initial=1)
    return {
        "front.png": front_figure(
            fronts,
            np.array(results.measured_front["front"]),
            Point(results.project["origin"]["validation_accuracy"], estimate.latency_ms, estimate.energy_mj),
        ),
        "layers.png": layers_figure(estimate),
        "resources.png": resources_figure(
            {name: getattr(used, name) for name in RESOURCES},
            {name: getattr(board, name) for name in RESOURCES},
            board.title,
        ),
        "training.png": training_figure(
            checkpoint.losses, [(phase.name, start) for phase, start in zip(phases, starts, strict=True)]
        ),
        "predictor.png": predictor_figure(
            left_out["measured"], left_out["predicted"], float(np.mean(results.quality["kendall_tau"]))
        ),
    }


def _facts(results: Results) -> list[Fact]:
    accuracy, estimate = results.project["origin"]["test_accuracy"], results.estimate
    return [
        Fact("test accuracy, int8", f"{accuracy['int8']:.2%}"),
        Fact("test accuracy, float32", f"{accuracy['float32']:.2%}"),
        Fact("latency, predicted", f"{estimate.latency_ms:.4f} ms"),
        Fact("energy, predicted", f"{estimate.energy_mj:.4f} mJ"),
        Fact("test images bit-exact in csim", f"{results.verification['images']}"),
    ]


def _sections(results: Results) -> list[Section]:
    volumes = results.fronts["hypervolumes"]
    a = results.accelerator
    return [
        Section(
            "Pareto front",
            "Pairs that no other pair of the same search beats in accuracy, latency and energy at once; lines join the "
            "best accuracy at each cost. All methods priced equally many pairs with predicted accuracies; the winner "
            "is chosen among the joint search's pairs once these are measured. Hypervolume below the worst value "
            "that any front has: " + ", ".join(f"{name} {volume:.4f}" for name, volume in volumes.items()) + ".",
            "front.png",
        ),
        Section(
            "The winner's layers",
            "Cycles that the cost model predicts for each layer, by what bounds it; the compute trips are exact and "
            "equal those that csim counted.",
            "layers.png",
            _layer_table(results),
        ),
        Section(
            "Resources",
            f"PE array {a.pe_rows} x {a.pe_cols} x {a.pe_pixels}, {a.pack} products a DSP slice, {a.depthwise_lanes} "
            f"depthwise lanes, buffers of twice {a.ifmap_kib} / {a.weight_kib} / {a.ofmap_kib} KiB, {a.axi_bits}-bit "
            f"ports, {a.clock_mhz} MHz. DSP slices and block memories follow from the C++; LUT and FF are estimates.",
            "resources.png",
        ),
        Section(
            "Training",
            "Loss of progressive shrinking: the full net first, then ever smaller subnets taught by it. The loss of "
            "the later phases includes the distillation, so it starts anew there.",
            "training.png",
        ),
        Section(
            "Accuracy predictor",
            f"Fitted on measured subnets, compared on those left out ({results.quality['samples']} in all).",
            "predictor.png",
        ),
    ]


def _layer_table(results: Results) -> Table:
    headings = ("layer", "shape", "tile", "cycles", "compute trips", "DDR bytes", "bound by")
    rows = []
    for node, layer in zip(results.workload, results.estimate.layers, strict=True):
        shape, mapping = node.layer, layer.mapping
        rows.append(
            (
                layer.name,
                f"{shape.operation} {shape.kernel_height}x{shape.kernel_width}/{shape.stride}, "
                f"{shape.in_channels} → {shape.out_channels}, {shape.out_height}x{shape.out_width}",
                f"{mapping.tile_out_channels}, {mapping.tile_in_channels}, "
                f"{mapping.tile_height}x{mapping.tile_width}, {mapping.loop_order.replace('_', ' ')}",
                f"{layer.latency_cycles:,.0f}",
                f"{layer.compute_cycles:,}",
                f"{layer.ddr_bytes:,}",
                layer.bound,
            )
        )
    return Table(headings, tuple(rows))
