"""The part of a report that is about the engine."""

from codesign.report.figures import layers_figure
from codesign.report.page import Section, Table
from codesign.report.tables import layer_shape
from codesign.supernet.lowering.workloads import lower
from codesign.templates.template import EmittedPair, ReportPart
from cost_models.closed_form.estimate import Estimate, price
from cost_models.closed_form.fusion import fallbacks
from cost_models.mapping.placement import Placement
from cost_models.workload import Workload
from hw_templates.conv_engine.accelerator import Accelerator


def report_part(emitted: EmittedPair) -> ReportPart:
    """Return the sections on the layers and the resources of an emitted engine, with their pictures."""
    problem, a = emitted.problem, emitted.pair.accelerator
    workload = lower(problem.joint.space, emitted.pair.subnet)
    estimate = price(workload, a, problem.joint.board, problem.coefficients)
    sections = (
        Section(
            "The winner's layers",
            "Cycles that the cost model predicts for each layer, by what bounds it; the compute iterations are exact "
            "and equal those that csim counted. " + on_chip_maps(workload, estimate, a),
            "layers.png",
            _layer_table(workload, estimate),
        ),
        Section(
            "Resources",
            f"PE array {a.pe_rows} x {a.pe_cols} x {a.pe_pixels}, {a.pack} products a DSP slice, {a.depthwise_lanes} "
            f"depthwise lanes, buffers of {a.ifmap_buffers} x {a.ifmap_kib}, {a.weight_buffers} x {a.weight_kib} and "
            f"{a.ofmap_buffers} x {a.ofmap_kib} KiB, 2 x {a.map_kib} KiB for maps that stay on chip, {a.axi_bits}-bit "
            f"ports, {a.clock_mhz} MHz. DSP slices and block memories follow from the C++; LUT and FF are estimates.",
            "resources.png",
        ),
    )
    return ReportPart(sections, {"layers.png": layers_figure(estimate)})


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
