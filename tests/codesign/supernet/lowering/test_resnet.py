import collections
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.networks.float_networks import run_float
from support.networks.named_spaces import OFA_RESNET50D
from support.networks.small_families import SMALL_RESNET

from codesign.supernet.lowering.workloads import LayerIndex, lower
from codesign.supernet.network.subnets import fold, recalibrate
from codesign.supernet.network.supernet import Supernet
from cost_models.workload import Activation, Operation


def test_nodes_are_those_of_a_resnet_d():
    subnet = OFA_RESNET50D.largest()
    nodes = {node.name: node for node in lower(OFA_RESNET50D, subnet)}
    assert list(nodes)[:8] == [
        *("stem.first", "stem.residual", "stem.last", "stem.pool"),
        *(f"stage1.block1.{part}" for part in ("shortcut", "reduce", "convolve", "project")),
    ]
    assert [nodes[name].layer.out_channels for name in list(nodes)[:8]] == [32, 32, 64, 64, 256, 88, 88, 256]
    residual = nodes["stem.residual"]
    assert (residual.activation, residual.residual, residual.adds_last) == (Activation.RELU, "stem.first", True)
    assert nodes["stem.pool"].layer.operation == Operation.MAX_POOL
    assert nodes["stage1.block2.project"].residual == "stage1.block1.project"
    halving = nodes["stage2.block1.pool"].layer
    assert (halving.operation, halving.kernel_height, halving.stride) == (Operation.POOL, 2, 2)
    project = nodes["stage2.block1.project"]
    assert (project.activation, project.residual, project.adds_last) == (
        Activation.RELU,
        "stage2.block1.shortcut",
        False,
    )
    assert nodes["stage2.block1.shortcut"].activation == Activation.IDENTITY
    assert nodes["stage2.block1.convolve"].layer.stride == 2
    assert nodes["stage4.block3.project"].layer.out_height == 7
    assert [name for name in nodes if name.startswith("stage2.block2")] == [
        f"stage2.block2.{part}" for part in ("reduce", "convolve", "project")
    ]


def test_a_stem_without_residual_has_three_layers():
    subnet = OFA_RESNET50D.smallest()
    names = [node.name for node in lower(OFA_RESNET50D, subnet)]
    assert names[:3] == ["stem.first", "stem.last", "stem.pool"]


@pytest.mark.parametrize("seed", range(4))
def test_the_lowered_layers_compute_what_the_supernet_does(seed):
    subnet = SMALL_RESNET.sample(np.random.default_rng(seed))
    subnet = replace(subnet, stem=replace(subnet.stem, depth=seed % 2))  # type: ignore[call-arg]
    supernet = Supernet(SMALL_RESNET, seed)
    images = torch.randn(8, 3, 36, 36, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        wanted = supernet(images, subnet, recalibrate(supernet, subnet, images)).numpy()
    got = run_float(lower(SMALL_RESNET, subnet), fold(supernet, subnet, images), images.numpy())
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


def test_segments_hold_the_layers_of_the_lowered_subnet():
    index = LayerIndex(SMALL_RESNET)
    genes = SMALL_RESNET.sample_genes(np.random.default_rng(0), 100)
    for row, numbers in zip(genes, index.segments(genes), strict=True):
        counts = index.segment_layers[numbers].sum(axis=0)
        from_segments = {index.layers[column]: counts[column] for column in np.flatnonzero(counts)}
        assert from_segments == collections.Counter(lower(SMALL_RESNET, SMALL_RESNET.decode(row)).layers)
