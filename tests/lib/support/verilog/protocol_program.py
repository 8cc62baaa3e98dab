"""The program that runs between models of AXI: small, for the simulator is slow, with every port in use."""

from pathlib import Path

import numpy as np
from support.verilog.engine_programs import EngineProgram, engine_program
from support.verilog.engines import SMALLEST

from cost_models.engine.layer import EngineLayer
from cost_models.engine.tiles import TiledLayer
from cost_models.mapping.mapping import LoopOrder, Mapping
from hw_templates.operations import Operation


def protocol_program(folder: Path) -> EngineProgram:
    """Write a dense layer to which a map is added, and a depthwise one, both in several tiles."""
    dense = EngineLayer(
        operation=Operation.CONV,
        in_channels=8,
        in_height=6,
        in_width=6,
        out_channels=8,
        kernel=(3, 3),
        padding=(1, 1, 1, 1),
        residual=1,
    )
    depthwise = EngineLayer(
        operation=Operation.DEPTHWISE, in_channels=8, in_height=7, in_width=5, out_channels=8, kernel=(3, 3)
    )
    mapping = Mapping(
        tile_out_channels=4, tile_in_channels=4, tile_height=3, tile_width=3, loop_order=LoopOrder.PIXELS_OUTER
    )
    tiled = [TiledLayer(layer=layer, mapping=mapping, shape=SMALLEST) for layer in (dense, depthwise)]
    return engine_program(folder, tiled, np.random.default_rng(0))
