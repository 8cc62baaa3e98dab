"""The published spaces against the reference implementation: same weights in, same logits out."""

import dataclasses

import numpy as np
import pytest
import torch
from reference_ofa import activate, reference_supernet

from codesign.supernet.elastic import SharedStatistics
from codesign.supernet.network import build_supernet, count_parameters
from codesign.supernet.official_weights import OfficialSupernet, read_official, write_official
from codesign.supernet.spaces import load_space
from hw_templates.errors import InvalidValueError

FAMILIES = ("ofa-mbv3-w1.0", "ofa-proxyless-w1.3", "ofa-resnet50d")
SUBNETS = 200
# Small, as parity does not depend on the size; the second one makes maps of odd sizes.
SIDES = (32, 36)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_random_subnets_give_the_logits_of_the_reference(name):
    reference = reference_supernet(name)
    space = dataclasses.replace(load_space(name), resolutions=SIDES)
    official = read_official(space, reference.state_dict())
    rng = np.random.default_rng(0)
    worst = 0.0
    ends = [space.encode(space.smallest())[None], space.encode(space.largest())[None]]
    for number, row in enumerate(np.concatenate([*ends, space.sample_genes(rng, SUBNETS - 2)])):
        subnet = space.decode(row)
        images = torch.randn(
            2, 3, subnet.resolution, subnet.resolution, generator=torch.Generator().manual_seed(number)
        )
        activate(reference, subnet)
        with torch.inference_mode():
            ours = official.supernet(images, subnet, official.statistics)
            theirs = reference(images)
            worst = max(worst, float((ours - theirs).abs().max()))
            alone = reference.get_active_subnet(preserve_weight=True).eval()
            worst = max(worst, float((ours - alone(images)).abs().max()))
        assert float(theirs.std()) > 0.2
        assert count_parameters(official.supernet, subnet) == sum(p.numel() for p in alone.parameters())
    assert worst < 1e-4


@pytest.mark.parametrize("name", [*FAMILIES, "ofa-mbv3-w1.2"])
def test_state_dicts_go_both_ways(name):
    reference = reference_supernet(name)
    state = reference.state_dict()
    official = read_official(load_space(name), state)
    written = write_official(official)
    assert written.keys() == state.keys()
    for key, tensor in state.items():
        assert torch.equal(written[key], tensor) or key.endswith("num_batches_tracked")
        assert written[key].shape == tensor.shape
    torch.nn.Module.load_state_dict(reference, written, strict=True)


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
    """Random weights of the narrower MobileNetV3 space, and their official state dict."""
    space = load_space("ofa-mbv3-w1.0")
    supernet = build_supernet(space)
    from codesign.supernet.network import recalibrate

    subnet = dataclasses.replace(space.largest(), resolution=128)
    statistics = recalibrate(supernet, subnet, torch.randn(2, 3, 128, 128))
    return write_official(OfficialSupernet(supernet, SharedStatistics(statistics.mean, statistics.variance)))


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
