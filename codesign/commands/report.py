"""``codesign report``: one page with the pictures of a run."""

import io
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from matplotlib.figure import Figure

from codesign.commands.hls4ml.commands import RECORD as DATAFLOW_RECORD
from codesign.commands.hls4ml.commands import SECTION, DataflowSettings, read_emitted
from codesign.commands.hls4ml.comparison import templates_section
from codesign.commands.hls4ml.report import dataflow_page
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
from codesign.run.folder import REMAKE, Run, claiming, read_json
from codesign.run.records import ComparedRecord, CsimRecord, FrontsRecord, PredictorRecord
from codesign.run.requests import Searched, SearchRequest, Trained, load_searched, load_weights
from codesign.search.pareto import front_array
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.space import Space, Subnet
from cost_models.closed_form.estimate import Estimate, price
from cost_models.closed_form.fusion import fallbacks
from cost_models.mapping.placement import Placement
from cost_models.resources import RESOURCES, estimate_resources
from cost_models.workload import Workload
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.atomic_file import write_bytes_atomically, write_text_atomically
from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import reading
from hw_templates.project.record import PROJECT_FILE, ProjectRecord

DOTS_PER_INCH = 130


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The emitted pair as its record and csim's say."""

    rule: str
    subnet: Subnet
    accelerator: Accelerator
    validation_accuracy: float
    test_float32: float
    test_int8: float
    images: int


@dataclass(frozen=True)
class Quality:
    """How well the predictor does on left-out subnets."""

    samples: int
    kendall_tau: float
    measured: FloatArray
    predicted: FloatArray


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything the page is made of.

    Fronts are [n, 3] as in :mod:`codesign.search.pareto`; the quality is that of the run's predictor, None where the
    search took accuracies from elsewhere.
    """

    searched: Searched
    trained: Trained
    fronts: dict[str, FloatArray]
    hypervolumes: dict[str, float]
    measured_front: FloatArray
    quality: Quality | None
    winner: Verified
    workload: Workload
    estimate: Estimate


@claiming
def report(run: Run, progress: Progress) -> None:
    """Draw the run.

    Raises:
        StorageError: an earlier command has not run since what it depends on, or something cannot be read or written.
    """
    with progress.stage("report") as update:
        alone = run.find(DataflowSettings) is not None and run.find(SearchRequest) is None
        subtitle, facts, sections, pictures = dataflow_page(run) if alone else _engine_page(run)
        for index, (name, figure) in enumerate(pictures.items()):
            update(index / len(pictures), name)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
            write_bytes_atomically(run.report / name, buffer.getvalue())
        page = render_page(f"codesign: {run.folder.resolve().name}", subtitle, facts, sections)
        write_text_atomically(run.report / "index.html", page)
    progress.say(f"report     {run.report / 'index.html'}")


def _engine_page(run: Run) -> tuple[str, list[Fact], list[Section], dict[str, Figure]]:
    """Subtitle, facts, sections and pictures by file name of the engine's search."""
    results = _read(run)
    searched, winner, space = results.searched, results.winner, results.trained.space
    sections = _sections(results)
    if (run.folder / SECTION / DATAFLOW_RECORD).exists():
        emitted = read_emitted(run, space)
        if emitted.board == searched.board:
            coefficients = searched.task.coefficients
            sections.append(templates_section(emitted, space, winner.accelerator, "the engine that won", coefficients))
    subtitle = f"{space.name} on {searched.board.title}; winner: {winner.rule}"
    return subtitle, _facts(results), sections, _pictures(results)


def _read(run: Run) -> Results:
    searched = load_searched(run)
    trained = load_weights(run, searched)
    study = searched.task.location.name
    winner = _read_winner(run, searched, trained.space, study)
    fronts, compared = read_json(run.fronts, FrontsRecord), read_json(run.measured_front, ComparedRecord)
    for path, found, command in ((run.fronts, fronts.study, "search"), (run.measured_front, compared.study, "emit")):
        if found != study:
            raise StorageError(f"{path}: of another search than {study}; run `codesign {command} {run.folder}` first")
    workload = lower(trained.space, winner.subnet)
    return Results(
        searched=searched,
        trained=trained,
        fronts={name: front_array(rows) for name, rows in fronts.fronts.items()},
        hypervolumes=fronts.hypervolumes,
        measured_front=front_array(compared.front),
        quality=_read_quality(run) if searched.accuracies.source == "predictor" else None,
        winner=winner,
        workload=workload,
        estimate=price(workload, winner.accelerator, searched.board, searched.task.coefficients),
    )


def _read_winner(run: Run, searched: Searched, space: Space, study: str) -> Verified:
    path = run.project / PROJECT_FILE
    project, verification = read_json(path, ProjectRecord), read_json(run.verification, CsimRecord)
    origin = project.origin
    if origin is None or (project.board, origin.study) != (searched.board.name, study):
        raise StorageError(f"{path}: of another search than {study}; run `codesign emit {run.folder}` first")
    if verification.program_sha256 != project.program_sha256:
        raise StorageError(f"{run.verification}: of an earlier project; run `codesign csim {run.folder}` first")
    with reading(path, REMAKE):
        subnet = space.parse_subnet(origin.subnet)
        space.check(subnet)
    return Verified(
        rule=origin.rule,
        subnet=subnet,
        accelerator=project.accelerator,
        validation_accuracy=origin.validation_accuracy,
        test_float32=origin.test_accuracy.float32,
        test_int8=origin.test_accuracy.int8,
        images=verification.images,
    )


def _read_quality(run: Run) -> Quality:
    record = read_json(run.predictor_quality, PredictorRecord)
    measured, predicted = np.array(record.left_out.measured), np.array(record.left_out.predicted)
    return Quality(record.samples, float(np.mean(record.kendall_tau)), measured, predicted)


def _pictures(results: Results) -> dict[str, Figure]:
    """File name to picture."""
    board, estimate, checkpoint = results.searched.board, results.estimate, results.trained.checkpoint
    winner, quality = results.winner, results.quality
    used = estimate_resources(winner.accelerator, board)
    phases = checkpoint.schedule.phases
    starts = accumulate((int(phase.length) for phase in phases[:-1]), initial=1)
    pictures = {
        "front.png": front_figure(
            results.fronts,
            results.measured_front,
            Point(winner.validation_accuracy, estimate.latency_ms, estimate.energy_mj),
            winner.rule,
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
    }
    if quality is not None:
        pictures["predictor.png"] = predictor_figure(quality.measured, quality.predicted, quality.kendall_tau)
    return pictures


def _facts(results: Results) -> list[Fact]:
    winner, estimate = results.winner, results.estimate
    interval = results.searched.task.coefficients.latency_interval(estimate.latency_ms)
    sure = "" if interval is None else f", {interval[0]:.4f} to {interval[1]:.4f} in 9 of 10"
    return [
        Fact("test accuracy, int8", f"{winner.test_int8:.2%}"),
        Fact("test accuracy, float32", f"{winner.test_float32:.2%}"),
        Fact(f"latency, predicted{sure}", f"{estimate.latency_ms:.4f} ms"),
        Fact("energy, predicted", f"{estimate.energy_mj:.4f} mJ"),
        Fact("test images bit-exact in csim", f"{winner.images}"),
    ]


def _sections(results: Results) -> list[Section]:
    volumes, a = results.hypervolumes, results.winner.accelerator
    known = "measured" if results.searched.accuracies.source == "measured" else "predicted"
    sections = [
        Section(
            "Pareto front",
            "Pairs that no other pair of the same search beats in accuracy, latency and energy at once; lines join the "
            f"best accuracy at each cost. All methods priced equally many pairs with {known} accuracies; the winner "
            "is chosen among the joint search's pairs once these are measured. Hypervolume below the worst value "
            "that any front has: " + ", ".join(f"{name} {volume:.4f}" for name, volume in volumes.items()) + ".",
            "front.png",
        ),
        Section(
            "The winner's layers",
            "Cycles that the cost model predicts for each layer, by what bounds it; the compute trips are exact and "
            "equal those that csim counted. " + _kept_maps(results),
            "layers.png",
            _layer_table(results),
        ),
        Section(
            "Resources",
            f"PE array {a.pe_rows} x {a.pe_cols} x {a.pe_pixels}, {a.pack} products a DSP slice, {a.depthwise_lanes} "
            f"depthwise lanes, buffers of {a.ifmap_buffers} x {a.ifmap_kib}, {a.weight_buffers} x {a.weight_kib} and "
            f"{a.ofmap_buffers} x {a.ofmap_kib} KiB, 2 x {a.map_kib} KiB for maps that stay on chip, {a.axi_bits}-bit "
            f"ports, {a.clock_mhz} MHz. DSP slices and block memories follow from the C++; LUT and FF are estimates.",
            "resources.png",
        ),
        Section(
            "Training",
            "Loss of progressive shrinking: the full net first, then ever smaller subnets taught by it. The loss of "
            "the later phases includes the distillation, so it starts anew there.",
            "training.png",
        ),
    ]
    if results.quality is not None:
        text = f"Fitted on measured subnets, compared on those left out ({results.quality.samples} in all)."
        sections.append(Section("Accuracy predictor", text, "predictor.png"))
    return sections


def _kept_maps(results: Results) -> str:
    """Which blocks keep maps on chip, and why the others do not."""
    placements = {layer.name: layer.mapped.placement for layer in results.estimate.layers}
    alone = fallbacks(results.workload, placements, results.winner.accelerator)
    kept = sum(placement.ofmap_ring > 0 for placement in placements.values())
    return f"{kept} of {len(placements)} maps never leave the chip." + "".join(f" {sentence}." for sentence in alone)


def _placed(placement: Placement) -> str:
    """Where the input and the output map are, and in how many bands the layer runs."""
    places = (f"{ring} rows on chip" if ring else "DDR" for ring in (placement.ifmap_ring, placement.ofmap_ring))
    return " → ".join(places) + (f", {len(placement.bands)} bands" if len(placement.bands) > 1 else "")


def _layer_table(results: Results) -> Table:
    headings = ("layer", "shape", "tile", "maps", "cycles", "compute trips", "DDR bytes", "bound by")
    rows = []
    for node, layer in zip(results.workload, results.estimate.layers, strict=True):
        shape, mapping = node.layer, layer.mapped.mapping
        rows.append(
            (
                layer.name,
                f"{shape.operation} {shape.kernel_height}x{shape.kernel_width}/{shape.stride}, "
                f"{shape.in_channels} → {shape.out_channels}, {shape.out_height}x{shape.out_width}",
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
