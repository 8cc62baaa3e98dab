"""The report's side by side of both templates for one subnet."""

from codesign.report.page import Section, Table
from codesign.run import Run, read_json, wrong_content
from codesign.supernet.lowering import lower
from codesign.supernet.space import Space
from codesign.verbs.dataflow import RECORD, SECTION
from cost_models.coefficients import Coefficients
from cost_models.dataflow_estimate import price_dataflow
from cost_models.estimate import price
from cost_models.resources import RESOURCES, estimate_resources
from hw_templates.accelerator import Accelerator
from hw_templates.board import Board, load_board
from hw_templates.dataflow import Dataflow


def templates_section(
    run: Run, space: Space, engine: Accelerator, board: Board, coefficients: Coefficients
) -> Section | None:
    """The subnet that was emitted with hls4ml, as hls4ml's layers and on the run's engine; None where none was.

    Raises:
        StorageError: the record of what was emitted is damaged.
    """
    path = run.folder / SECTION / RECORD
    if not path.exists():
        return None
    record = read_json(path)
    with wrong_content(path):
        if load_board(record["board"]) != board:
            return None
        subnet, design = space.parse_subnet(record["subnet"]), Dataflow.from_dict(record["accelerator"])
        accuracy = float(record["test_accuracy"]["fixed_point"])
    workload = lower(space, subnet)
    stream = price_dataflow(workload, design, board)
    other, needs = price(workload, engine, board, coefficients), estimate_resources(engine, board)
    names = {"dsp": "DSP slices", "bram_18k": "BRAM18", "uram": "URAM", "lut": "LUT", "ff": "FF"}
    rows = (
        ("clock", f"{engine.clock_mhz} MHz", f"{design.clock_mhz} MHz"),
        ("weights and maps", "8 bits", f"{design.precision_bits} bits"),
        ("latency, predicted", f"{other.latency_ms:.4f} ms", f"{stream.latency_ms:.4f} ms"),
        ("between images, predicted", f"{other.latency_ms:.4f} ms", f"{stream.interval_ms:.4f} ms"),
        ("energy, predicted", f"{other.energy_mj:.4f} mJ", f"{stream.energy_mj:.4f} mJ"),
        *(
            (f"{names[name]}, predicted", f"{getattr(needs, name):,}", f"{getattr(stream.resources, name):,}")
            for name in RESOURCES
            if getattr(board, name)
        ),
        ("subnets a bitstream runs", "any", "this one"),
    )
    return Section(
        "Two templates",
        f"The subnet that was emitted with hls4ml (resolution {subnet.resolution}, depths {subnet.depths}, "
        f"{workload.macs:,} MACs) on {board.title}: on the engine that won, and with each layer as hardware of its own "
        f"({design.io_type}, at most {design.interval_cycles:,} cycles a layer and image; test accuracy {accuracy:.2%} "
        f"at {design.precision_bits} bits). Nothing here is measured: the models' coefficients differ, and the time of "
        "a call is in hls4ml's latency only.",
        table=Table(("", "engine", "hls4ml"), rows),
    )
