"""Projects of random networks with random mappings, whose trips the cost model states."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from support.networks.random_networks import (
    network_of_blocks,
    network_of_every_operation,
    random_mapped_layers,
    random_placements,
)

from codesign.emit.integer_reference import QuantisedNetwork
from codesign.emit.project import Design, project_files, write_project
from cost_models.closed_form.estimate import price_mapped
from cost_models.coefficients import load_coefficients
from cost_models.mapping.placement import IN_MEMORY, Placement
from hw_templates.board import load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation

FUSING = Accelerator(
    pe_rows=8,
    pe_cols=4,
    pe_pixels=2,
    pack=2,
    ifmap_kib=16,
    weight_kib=8,
    ofmap_kib=4,
    axi_bits=32,
    clock_mhz=150,
    map_kib=64,
    weight_port_words=2,
)
"""An accelerator that keeps the feature maps of random blocks on chip."""


def emit_random_project(
    folder: Path,
    accelerator: Accelerator,
    seed: int,
    images: int = 2,
    extreme: bool = False,
    board_name: str = "zcu104",
    implementation: Implementation = Implementation.HLS,
) -> None:
    """Write a project of a network that uses every operation, tiled at random; int8 images are random too.

    With ``extreme`` every weight and pixel is the least or the greatest that its bits allow.
    """
    rng = np.random.default_rng(seed)
    network = network_of_every_operation(rng, extreme)
    shape = (images, *_image_shape(network))
    pixels = rng.choice([-128, 127], shape) if extreme else rng.integers(-128, 128, shape)
    placements = [IN_MEMORY] * len(network.layers)
    design = _design(network, placements, accelerator, rng, board_name)
    write_project(folder, project_files(design, pixels.astype(np.int8), implementation=implementation))


def emit_fused_project(
    folder: Path,
    accelerator: Accelerator,
    seed: int,
    images: int = 2,
    implementation: Implementation = Implementation.HLS,
) -> tuple[Placement, ...]:
    """Write a project of inverted residuals, run in ways and tiled at random; returns the ways."""
    rng = np.random.default_rng(seed)
    network = network_of_blocks(rng)
    placements = random_placements(network.workload, accelerator, rng)
    pixels = rng.integers(-128, 128, (images, *_image_shape(network)))
    design = _design(network, placements, accelerator, rng, "zcu104")
    write_project(folder, project_files(design, pixels.astype(np.int8), implementation=implementation))
    return placements


def _image_shape(network: QuantisedNetwork) -> tuple[int, int, int]:
    first = network.layers[0].node.layer
    return first.in_channels, first.in_height, first.in_width


def _design(
    network: QuantisedNetwork,
    placements: Sequence[Placement],
    accelerator: Accelerator,
    rng: np.random.Generator,
    board_name: str,
) -> Design:
    mapped = random_mapped_layers(network, accelerator, rng, placements)
    board = load_board(board_name)
    estimate = price_mapped(network.workload, mapped, accelerator, board, load_coefficients())
    return Design(network, accelerator, board, estimate)
