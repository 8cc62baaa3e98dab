"""Projects of random networks with random mappings, whose trips the cost model states."""

from pathlib import Path

import numpy as np
from random_networks import network_of_every_operation, random_mapping

from codesign.emit.project import Design, project_files, write_project
from cost_models.coefficients import load_coefficients
from cost_models.estimate import price_mappings
from hw_templates.accelerator import Accelerator
from hw_templates.board import load_board


def emit_random_project(
    folder: Path, accelerator: Accelerator, seed: int, images: int = 2, extreme: bool = False
) -> None:
    """Write a project of a network that uses every operation, tiled at random; int8 images are random too.

    With ``extreme`` every weight and pixel is the least or the greatest that its bits allow.
    """
    rng = np.random.default_rng(seed)
    network = network_of_every_operation(rng, extreme)
    mappings = [random_mapping(layer.node.layer, accelerator, rng) for layer in network.layers]
    board = load_board("zcu104")
    estimate = price_mappings(network.workload, mappings, accelerator, board, load_coefficients())
    first = network.layers[0].node.layer
    shape = (images, first.in_channels, first.in_height, first.in_width)
    pixels = (rng.choice([-128, 127], shape) if extreme else rng.integers(-128, 128, shape)).astype(np.int8)
    write_project(folder, project_files(Design(network, accelerator, board, estimate), pixels, {"seed": seed}))
