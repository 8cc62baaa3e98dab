import collections
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.networks.named_spaces import CIFAR10, DIGITS, OFA_MBV3_W10, OFA_MBV3_W12, OFA_PROXYLESS_W13, OFA_RESNET50D
from torch.utils.flop_counter import FlopCounterMode

from codesign.supernet.lowering.workloads import LayerIndex, lower
from codesign.supernet.network.standalone import extract
from codesign.supernet.network.subnets import recalibrate
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.mobile import MobileSubnet
from cost_models.closed_form.estimate import price
from cost_models.coefficients import load_coefficients
from cost_models.workload import Operation
from hw_templates.board import load_board
from hw_templates.conv_engine import isa
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError


@pytest.fixture(scope="module")
def index():
    return LayerIndex(DIGITS)


def test_segments_hold_the_layers_of_the_lowered_subnet(index):
    genes = DIGITS.sample_genes(np.random.default_rng(0), 300)
    segments = index.segments(genes)
    segment_layers = index.segment_layers.toarray()
    for row, numbers in zip(genes, segments, strict=True):
        counts = segment_layers[numbers].sum(axis=0)
        from_segments = {index.layers[column]: counts[column] for column in np.flatnonzero(counts)}
        assert from_segments == collections.Counter(lower(DIGITS, DIGITS.decode(row)).layers)


def test_segments_do_not_depend_on_genes_of_absent_blocks(index):
    rows = np.random.default_rng(1).integers(
        [len(choices) for _, choices in DIGITS.genes], size=(50, len(DIGITS.genes))
    )
    assert (index.segments(rows) == index.segments(DIGITS.canonical(rows))).all()


def test_an_absent_block_costs_nothing_and_an_impossible_layer_everything(index):
    costs = np.ones((len(index.layers), 2))
    wide = [layer.operation == Operation.DEPTHWISE and layer.kernel_height == 7 for layer in index.layers]
    costs[wide, 1] = np.inf
    segments = index.segment_layers @ costs
    assert (segments[0] == 0).all()
    smallest, largest = (index.segments(DIGITS.encode(s)[None])[0] for s in (DIGITS.smallest(), DIGITS.largest()))
    assert segments[smallest, 1].sum() == len(lower(DIGITS, DIGITS.smallest()))
    assert segments[largest].sum(axis=0).tolist() == [len(lower(DIGITS, DIGITS.largest())), np.inf]


def test_narrow_weights_take_less_time_and_energy():
    wide = CIFAR10.largest()
    blocks = tuple(tuple(replace(block, weight_bits=4) for block in stage) for stage in wide.stages)
    accelerator, board = (
        Accelerator(
            pe_rows=16,
            pe_cols=16,
            pe_pixels=1,
            pack=2,
            ifmap_kib=16,
            weight_kib=16,
            ofmap_kib=16,
            axi_bits=64,
            clock_mhz=100,
        ),
        load_board("pynq-z2"),
    )
    prices = [
        price(lower(CIFAR10, subnet), accelerator, board, load_coefficients())
        for subnet in (wide, replace(wide, stages=blocks))  # type: ignore[call-arg]
    ]
    assert prices[1].latency_ms < prices[0].latency_ms
    assert prices[1].energy_mj < prices[0].energy_mj


@pytest.mark.parametrize(
    "space", [CIFAR10, OFA_MBV3_W10, OFA_MBV3_W12, OFA_PROXYLESS_W13, OFA_RESNET50D], ids=lambda space: space.name
)
def test_macs_are_those_that_torch_counts(space):
    supernet = Supernet(space)
    for row in space.sample_genes(np.random.default_rng(2), 2):
        subnet = replace(space.decode(row), resolution=space.resolutions[0])
        images = torch.zeros(2, space.image_channels, subnet.resolution, subnet.resolution)
        network = extract(supernet, subnet, recalibrate(supernet, subnet, images))
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(images[:1])
        flops = counter.get_total_flops()
        convolutions = (Operation.CONV, Operation.DEPTHWISE)
        layers = [layer for layer in lower(space, subnet).layers if layer.operation in convolutions]
        assert flops == 2 * sum(layer.macs for layer in layers)


@pytest.mark.parametrize("space", [OFA_MBV3_W12, OFA_PROXYLESS_W13, OFA_RESNET50D], ids=lambda space: space.name)
def test_the_engine_has_enough_channels_for_the_published_spaces(space):
    layers = lower(space, space.largest()).layers
    assert max(layer.out_channels for layer in layers) <= isa.MAX_CHANNELS


def test_lowering_refuses_a_subnet_of_another_space():
    with pytest.raises(InvalidValueError, match=r"subnet\.resolution"):
        lower(DIGITS, MobileSubnet(10, DIGITS.smallest().stages))


def test_lowering_needs_no_torch():
    code = "import sys, codesign.supernet.lowering.workloads; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
