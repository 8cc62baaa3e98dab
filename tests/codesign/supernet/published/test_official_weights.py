"""The published spaces against the reference implementation: same weights in, same logits out."""

import pytest
import torch
from support.networks.named_spaces import DIGITS
from support.networks.ofa_parity import FAMILIES, compare_with_reference
from support.networks.reference_ofa import reference_supernet

from codesign.supernet.network.standalone import Network
from codesign.supernet.published.official_weights import load_weights, read_official
from codesign.supernet.spaces.named import load_space
from hw_templates.foundation.errors import InvalidValueError

# benchmarks/reference_parity.py compares 200 of each family.
SUBNETS = 12


@pytest.mark.parametrize("name", FAMILIES)
def test_random_subnets_give_the_logits_of_the_reference(name):
    found = compare_with_reference(name, SUBNETS)
    assert found.shared < 1e-4
    assert found.alone < 1e-4
    assert found.parameters == 0
    assert found.smallest_spread > 0.2


@pytest.mark.parametrize("name", [*FAMILIES, "ofa-mbv3-w1.2"])
def test_every_tensor_of_a_state_dict_is_read(name):
    state = reference_supernet(name).state_dict()
    official = read_official(load_space(name), state)
    read = [*official.supernet.state_dict().values()]
    read += [*official.statistics.mean.values(), *official.statistics.variance.values()]
    given = [tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")]

    def content(tensors):
        return sorted(tensor.numpy().tobytes() for tensor in tensors)

    assert content(read) == content(given)


def test_both_published_dialects_are_read():
    state = reference_supernet("ofa-mbv3-w1.0").state_dict()
    older = {
        key.replace(".bn.bn.", ".bn.").replace(".conv.conv.weight", ".conv.weight"): tensor
        for key, tensor in state.items()
    }
    renamed = {
        key.replace(".conv.inverted_bottleneck", ".mobile_inverted_conv.inverted_bottleneck"): older[key]
        for key in older
    }
    assert renamed.keys() != state.keys()
    space = load_space("ofa-mbv3-w1.0")
    first, second = (read_official(space, weights).supernet.state_dict() for weights in (state, renamed))
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.fixture(scope="module")
def small_official():
    """The official state dict of the narrower MobileNetV3 space with random weights."""
    return reference_supernet("ofa-mbv3-w1.0").state_dict()


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ("ofa-mbv3-w1.2", r"state_dict\.blocks"),
        ("ofa-proxyless-w1.3", r"state_dict\.blocks"),
        ("ofa-resnet50d", "state_dict"),
    ],
)
def test_weights_of_another_width_or_family_are_refused(small_official, other, field):
    with pytest.raises(InvalidValueError, match=rf"^{field}\S*: must be .* {other}, got"):
        read_official(load_space(other), small_official)


def test_missing_and_extra_weights_are_named(small_official):
    space = load_space("ofa-mbv3-w1.0")
    missing = {key: tensor for key, tensor in small_official.items() if not key.startswith("first_conv.conv")}
    with pytest.raises(InvalidValueError, match=r"state_dict\.first_conv\.conv\.weight: must be given"):
        read_official(space, missing)
    with pytest.raises(
        InvalidValueError, match=r"state_dict\.head\.weight: must be absent for space ofa-mbv3-w1.0, got \(3,\)"
    ):
        read_official(space, {**small_official, "head.weight": torch.zeros(3)})


def test_another_number_of_classes_is_named(small_official):
    state = {
        **small_official,
        "classifier.linear.weight": torch.zeros(10, 1280),
        "classifier.linear.bias": torch.zeros(10),
    }
    message = r"classifier\.linear\.bias: must be of 1000 classes for ofa-mbv3-w1\.0, got '10 classes'"
    with pytest.raises(InvalidValueError, match=message):
        read_official(load_space("ofa-mbv3-w1.0"), state)


def test_weights_without_kernel_transforms_are_told_so(small_official):
    state = {name: tensor for name, tensor in small_official.items() if not name.endswith("_matrix")}
    assert len(state) < len(small_official)
    with pytest.raises(InvalidValueError, match=r"_matrix: must be given for .* these have no kernel transforms"):
        read_official(load_space("ofa-mbv3-w1.0"), state)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("first_conv.bn.running_mean", torch.zeros(3), r"running_mean: must be of shape \(16,\) .*, got \(3,\)"),
        ("first_conv.bn.running_var", -torch.ones(16), r"running_var: must be zero or more, got -1\.0"),
    ],
)
def test_statistics_that_cannot_be_are_named(small_official, name, tensor, message):
    assert name in small_official
    with pytest.raises(InvalidValueError, match=message):
        read_official(load_space("ofa-mbv3-w1.0"), {**small_official, name: tensor})


def small():
    return Network(DIGITS, DIGITS.smallest())


def test_weights_are_loaded_strictly():
    network, state = small(), small().state_dict()
    load_weights(network, state)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
    older = {name.replace("blocks.0.conv.", "blocks.0.mobile_inverted_conv."): tensor for name, tensor in state.items()}
    load_weights(network, {name: tensor for name, tensor in older.items() if "num_batches" not in name})
    without = {name: tensor for name, tensor in state.items() if name != "first_conv.bn.bias"}
    for wrong, message in (
        (without, r"state_dict\.first_conv\.bn\.bias: must be given for this network, got None"),
        ({**state, "head.weight": torch.zeros(3)}, r"state_dict\.head\.weight: must be absent .* got \(3,\)"),
        (
            {**state, "first_conv.conv.weight": torch.zeros(1)},
            r"state_dict\.first_conv\.conv\.weight: must be of shape \(8, 1, 3, 3\), got \(1,\)",
        ),
        (Network(DIGITS, DIGITS.largest()).state_dict(), r"state_dict\.blocks"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            load_weights(network, wrong)
