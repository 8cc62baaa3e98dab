"""The checks of the convolution engine's own C++, for one accelerator on one board."""

import tempfile
from dataclasses import replace
from pathlib import Path

from bitstreams.hls_checks.checks import HlsView, Limits, LoopLimits, NotChecked, check_sources
from bitstreams.hls_checks.views import Target
from hw_templates.board import Board
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.project.render import render

FOLDER = "hls/"
COUNT_BITS = 32
"""Bits of a sum, and of a count that is reported."""

_COUNTS = dict.fromkeys(("iterations", "words", "lines", "count"), COUNT_BITS)


def engine_limits(shape: EngineShape) -> Limits:
    """Return what the loops of an engine's C++ may hold, from its sizes.

    The array multiplies, in one slice for each ``pack`` products; a lane of the store multiplies by the requantiser's
    factor and by the residual's; nothing else multiplies by a variable. Places in memory are the widest counters, but
    for counts that are reported; the array counts no words of memory.
    """
    a, widths = shape.accelerator, shape.constants()
    memory = LoopLimits(counter_bits=shape.widths()["AW"], wide=_COUNTS)
    inside = max(int(widths[name]) for name in ("IA", "WA", "OA", "KW"))
    compute = LoopLimits(
        products=a.pe_rows * a.pe_cols * a.pe_pixels // a.pack,
        counter_bits=max(inside, shape.widths()["CW"] + 1),
        wide=_COUNTS | {"accumulators": COUNT_BITS},
    )
    return Limits(memory, {"compute": compute, "store:results": replace(memory, products=2 * a.post_lanes)})


def check_engine(shape: EngineShape, board: Board) -> HlsView | NotChecked:
    """Check the C++ of an engine for a board's part, at the clock of its accelerator."""
    target = Target(part=board.part, clock_mhz=shape.accelerator.clock_mhz)
    with tempfile.TemporaryDirectory(prefix="hls_engine_") as name:
        folder = Path(name)
        for path, text in render(shape.accelerator, board, shape.limits).items():
            if path.startswith(FOLDER):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)
        sources = sorted((folder / FOLDER).glob("*.cpp"))
        return check_sources(sources, [folder / FOLDER], target, engine_limits(shape))
