"""The report's side by side of both templates for one subnet."""

from codesign.commands.hls4ml.commands import EmittedDataflow
from codesign.report.page import Section, Table
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.space import Space
from cost_models.closed_form.estimate import price
from cost_models.coefficients import Coefficients
from cost_models.hls4ml.estimate import price_dataflow
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.conv_engine.accelerator import Accelerator

RESOURCE_NAMES = {"dsp": "DSP slices", "bram_18k": "BRAM18", "uram": "URAM", "lut": "LUT", "ff": "FF"}


def templates_section(
    emitted: EmittedDataflow, space: Space, engine: Accelerator, which: str, coefficients: Coefficients
) -> Section:
    """The subnet that was emitted with hls4ml, as hls4ml's layers and on an engine of the same board.

    Args:
        emitted: subnet, dataflow accelerator and board.
        space: of the subnet.
        engine: to compare with.
        which: says which engine that is, after "on".
        coefficients: of the engine's cost model.
    """
    subnet, design, board = emitted.pair.subnet, emitted.pair.accelerator, emitted.board
    workload = lower(space, subnet)
    stream = price_dataflow(workload, design, board)
    other, needs = price(workload, engine, board, coefficients), estimate_resources(engine, board)
    rows = (
        ("clock", f"{engine.clock_mhz} MHz", f"{design.clock_mhz} MHz"),
        ("weights and maps", "8 bits", f"{design.precision_bits} bits"),
        ("latency, predicted", f"{other.latency_ms:.4f} ms", f"{stream.latency_ms:.4f} ms"),
        ("between images, predicted", f"{other.latency_ms:.4f} ms", f"{stream.interval_ms:.4f} ms"),
        ("energy, predicted", f"{other.energy_mj:.4f} mJ", f"{stream.energy_mj:.4f} mJ"),
        *(
            (f"{RESOURCE_NAMES[name]}, predicted", f"{getattr(needs, name):,}", f"{getattr(stream.resources, name):,}")
            for name in RESOURCES
            if getattr(board, name)
        ),
        ("subnets a bitstream runs", "any", "this one"),
    )
    return Section(
        "Two templates",
        f"The subnet that was emitted with hls4ml (resolution {subnet.resolution}, depths {subnet.depths}, "
        f"{workload.macs:,} MACs) on {board.title}: on {which}, and with each layer as hardware of its own "
        f"({design.io_type}, at most {design.interval_cycles:,} cycles a layer and image; test accuracy "
        f"{emitted.test_fixed_point:.2%} at {design.precision_bits} bits). Nothing here is measured: the models' "
        "coefficients differ, and the time of a call is in hls4ml's latency only.",
        table=Table(("", "engine", "hls4ml"), rows),
    )
