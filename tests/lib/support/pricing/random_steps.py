"""Random steps of programs for a few unlike engines."""

import math

import numpy as np
from support.verilog.random_engine_layers import random_tiled_layer

from cost_models.engine.places import MapPlace, Places, ProgramStep
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape, Limits

SHAPES = [
    EngineShape(
        accelerator=Accelerator(
            pe_rows=rows, pe_cols=cols, pe_pixels=pixels, pack=1, ifmap_kib=16, weight_kib=32, ofmap_kib=16,
            axi_bits=bits, clock_mhz=100, weight_port_words=port,
        ),
        limits=Limits(max_stride=3, max_dilation=2, zero_point=True),
    )
    for rows, cols, pixels, bits, port in ((8, 8, 4, 64, 1), (4, 12, 3, 32, 1), (16, 8, 2, 64, 2))
]  # fmt: skip


def random_step(rng: np.random.Generator, shape: EngineShape) -> ProgramStep:
    """A layer that the engine can run, anywhere in memory."""
    tiled = random_tiled_layer(rng, shape)
    port = shape.accelerator.weight_port_words

    def place(channels: int) -> MapPlace:
        words = math.ceil(channels / shape.accelerator.axi_bytes)
        return MapPlace(word=int(rng.integers(10**5)), pixel_words=words + int(rng.integers(0, 3)))

    return ProgramStep(
        tiled=tiled,
        places=Places(
            ifmap=place(tiled.layer.in_channels),
            ofmap=place(tiled.layer.out_channels),
            residual=place(tiled.layer.out_channels) if tiled.layer.residual else None,
            **{
                name: port * int(rng.integers(10**4))
                for name in ("weight_word", "parameter_word", "table_word", "counter_word")
            },
        ),
        descriptor_word=port * int(rng.integers(10**4)),
    )
