"""A subnet of OFA-MobileNetV3 at 224 pixels on the engine's Verilog, simulated clock by clock from image to logits.

    python benchmarks/engine_imagenet.py

Takes minutes. Weights are random, as cycles do not depend on them; logits must equal the integer reference bit for bit,
and iterations, words and bursts what is stated. The accelerator keeps maps on chip, and blocks run in bands.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from bitstreams.building.toolchain import build_rtlsim, run_rtlsim
from codesign.emit.project import Design, project_files, write_project
from codesign.emit.quantise import quantise, quantise_image
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import fold
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Space, Subnet
from cost_models.closed_form.estimate import price
from cost_models.coefficients import Coefficients, load_coefficients
from hw_templates.board import Board, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.arrays import Int8Array

SPACE, BOARD, RESOLUTION, SEED = "ofa-mbv3-w1.0", "zcu104", 224, 0
IMAGES = 2
"""The scales of maps are chosen on as many."""
ACCELERATOR = Accelerator(
    pe_rows=16,
    pe_cols=16,
    pe_pixels=4,
    pack=2,
    ifmap_kib=64,
    weight_kib=64,
    ofmap_kib=64,
    axi_bits=64,
    clock_mhz=250,
    map_kib=128,
)


def random_design(
    space: Space, subnet: Subnet, accelerator: Accelerator, board: Board, coefficients: Coefficients
) -> tuple[Design, Int8Array]:
    """Return a subnet with random weights on an accelerator, and a random image [1, C, H, W] as it reads it."""
    torch.manual_seed(SEED)
    images = torch.rand(IMAGES, space.image_channels, subnet.resolution, subnet.resolution)
    workload = lower(space, subnet)
    network = quantise(workload, fold(Supernet(space), subnet, images), images.numpy())
    estimate = price(workload, accelerator, board, coefficients)
    return Design(network, accelerator, board, estimate), quantise_image(network, images[:1].numpy())


def main() -> None:
    """Print every figure."""
    space, rng = load_space(SPACE), np.random.default_rng(SEED)
    subnet = next(s for s in iter(lambda: space.sample(rng), None) if s.resolution == RESOLUTION)
    design, image = random_design(space, subnet, ACCELERATOR, load_board(BOARD), load_coefficients("prior"))
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        write_project(project, project_files(design, image))
        build_rtlsim(project)
        begun = time.monotonic()
        result = run_rtlsim(project, 1, lambda _: None)
    print(f"figure imagenet_descriptors {len(result.layers)} descriptors")
    print(f"figure imagenet_cycles {result.cycles} cycles simulated at RTL")
    print(
        f"figure imagenet_latency {result.cycles / ACCELERATOR.clock_mhz / 1000:.3f} ms at {ACCELERATOR.clock_mhz} MHz"
    )
    print(f"figure imagenet_speed {result.cycles_per_second:.0f} cycles a processor second")
    print(f"figure imagenet_wall {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    main()
