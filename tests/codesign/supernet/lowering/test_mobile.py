from dataclasses import replace

from support.networks.named_spaces import CIFAR10, DIGITS

from codesign.supernet.lowering.workloads import lower
from codesign.supernet.spaces.mobile import BlockChoice, MobileSubnet
from cost_models.workload import Activation


def test_squeeze_excite_comes_between_depthwise_and_projection():
    subnet = MobileSubnet(16, ((BlockChoice(3, 2),), (BlockChoice(5, 1), BlockChoice(7, 4)), (BlockChoice(3, 2),)))
    nodes = {node.name: node for node in lower(DIGITS, subnet)}
    block = "stage2.block2"
    names = [name for name in nodes if name.startswith(block)]
    parts = ("expand", "depthwise", "pool", "squeeze", "excite", "scale", "project")
    assert names == [f"{block}.{part}" for part in parts]
    channels = [nodes[name].layer.out_channels for name in names]
    assert channels == [64, 64, 64, 16, 64, 64, 16]
    assert nodes[f"{block}.scale"].gate == f"{block}.excite"
    assert nodes[f"{block}.scale"].ifmap == f"{block}.depthwise"
    assert nodes[f"{block}.excite"].activation == Activation.HSIGMOID
    assert nodes[f"{block}.project"].residual == "stage2.block1.project"
    assert nodes["stage2.block1.depthwise"].layer.stride == 2
    assert nodes["stage2.block1.project"].residual is None
    assert nodes["stage1.block1.project"].residual == "stem"


def test_the_weights_of_a_block_have_its_bits_and_all_others_eight():
    subnet = CIFAR10.smallest()
    first, *others = subnet.stages
    subnet = replace(subnet, stages=(tuple(replace(block, weight_bits=8) for block in first), *others))  # type: ignore[call-arg]
    narrow = {node.name for node in lower(CIFAR10, subnet) if node.layer.weight_bits == 4}
    kinds = ("expand", "depthwise", "project")
    assert narrow == {f"{stage}.block1.{kind}" for stage in ("stage2", "stage3") for kind in kinds}
