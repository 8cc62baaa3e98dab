"""The part of a report that is about hls4ml's layers, and the comparison with an engine."""

from dataclasses import replace

import numpy as np

from codesign.report.page import Section, Table
from codesign.report.tables import comparison_section, layer_shape
from codesign.search.joint_space import JointSpace, Pair
from codesign.supernet.lowering.workloads import lower
from codesign.templates.engine.breeding import draw_fitting
from codesign.templates.engine.problem import EngineProblem
from codesign.templates.engine.template import EngineTemplate
from codesign.templates.template import RESOURCE_NAMES, Datasheet, EmittedPair, ReportPart
from cost_models.coefficients import load_coefficients
from hw_templates.conv_engine.space import AcceleratorSpace

_ENGINES = 512


def report_part(emitted: EmittedPair, sheet: Datasheet) -> ReportPart:
    """Return the sections on layers and resources, and on an engine for the subnet of the pair in ``sheet``."""
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
    return ReportPart((layers, Section("Resources", text, "resources.png"), _comparison(emitted, sheet)))


def _comparison(emitted: EmittedPair, sheet: Datasheet) -> Section:
    """The same subnet on the engine that is fastest for it among some that fit the board."""
    joint, subnet = emitted.problem.joint, emitted.pair.subnet
    engines = EngineProblem(JointSpace(joint.space, AcceleratorSpace(joint.board)), load_coefficients())
    pricer = engines.pricer()
    drawn = draw_fitting(pricer, np.random.default_rng(0), _ENGINES)
    latency_ms, _ = pricer.price(joint.space.encode(subnet)[None], drawn)
    engine = engines.joint.accelerators.decode(drawn[latency_ms.argmin(axis=1)])[0]
    of_engine = EngineTemplate().datasheet(
        EmittedPair(pair=Pair(subnet, engine), problem=engines, precision="int8", quantised=0, results=emitted.results)
    )
    which = f"the fastest for it of {_ENGINES} engines drawn at random that fit"
    sides = {"engine": replace(of_engine, description=which), "hls4ml": sheet}
    return comparison_section(emitted, sides)
