"""Configurations against those that the reference implementation writes and reads."""

import copy
import json
from typing import Any

import numpy as np
import pytest
from support.mutations import drive, mutated_json
from support.networks.named_spaces import CIFAR10, DIGITS, OFA_MBV3_W10, OFA_MBV3_W12, OFA_RESNET50D
from support.networks.reference_ofa import activate, import_ofa, reference_supernet

from codesign.supernet.published.net_config import net_config, subnet_of_config
from codesign.supernet.published.specialised import specialised_nets
from codesign.supernet.spaces.named import load_space
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import parse_json, reading

FAMILIES = ("ofa-mbv3-w1.0", "ofa-proxyless-w1.3", "ofa-resnet50d")


def rebuilt(config):
    """What the reference writes of the network that it builds from a configuration."""
    import_ofa()
    from ofa.imagenet_classification.networks import get_net_by_name

    # It takes the configuration apart.
    return get_net_by_name(config["name"]).build_from_config(copy.deepcopy(config)).config


@pytest.mark.parametrize("name", FAMILIES)
def test_the_reference_writes_the_same_of_the_same_subnet(name):
    reference, space = reference_supernet(name), load_space(name)
    rng = np.random.default_rng(0)
    for subnet in (space.smallest(), space.largest(), *(space.sample(rng) for _ in range(3))):
        activate(reference, subnet)
        ours = net_config(space, subnet)
        assert rebuilt(ours) == reference.get_active_subnet().config
        assert json.loads(json.dumps(ours)) == ours


@pytest.mark.parametrize("space", [DIGITS, CIFAR10], ids=lambda space: space.name)
def test_spaces_of_ones_own_have_configurations_too(space):
    ours = net_config(space, space.largest())
    theirs = rebuilt(ours)
    assert theirs["name"] == "ProxylessNASNets"
    assert len(theirs["blocks"]) == sum(space.largest().depths)


def test_configurations_are_read_as_subnets():
    rng = np.random.default_rng(1)
    for space in (DIGITS, OFA_MBV3_W10, OFA_MBV3_W12, load_space("ofa-proxyless-w1.3")):
        for _ in range(5):
            subnet = space.sample(rng)
            assert subnet_of_config(net_config(space, subnet), subnet.resolution) == (space, subnet)
    for net in specialised_nets():
        space, subnet = subnet_of_config(net_config(net.space, net.subnet), net.subnet.resolution)
        assert (space.name, subnet) == (net.space.name, net.subnet)


def older(config):
    """The configuration as the published files have it, with names of an older version."""
    if isinstance(config, list):
        return [older(one) for one in config]
    if not isinstance(config, dict):
        return {"ResidualBlock": "MobileInvertedResidualBlock", "MBConvLayer": "MBInvertedConvLayer"}.get(
            config, config
        )
    renamed = {"mobile_inverted_conv" if key == "conv" else key: older(value) for key, value in config.items()}
    if config.get("name") == "IdentityLayer":
        renamed |= {key: [config[key]] for key in ("in_channels", "out_channels")}
    for absent in ("groups", "use_se") if config.get("name") == "ConvLayer" else ("groups",):
        renamed.pop(absent, None)
    return renamed


def test_the_older_dialect_is_read():
    subnet = OFA_MBV3_W12.largest()
    config = older(net_config(OFA_MBV3_W12, subnet))
    config["blocks"][0]["mobile_inverted_conv"]["mid_channels"] = None
    config["classifier"]["dropout_rate"] = 0.1
    assert "mobile_inverted_conv" in json.dumps(config)
    assert subnet_of_config(config, subnet.resolution) == (OFA_MBV3_W12, subnet)


def changed(change):
    config = net_config(OFA_MBV3_W10, OFA_MBV3_W10.smallest())
    change(config)
    return config


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"name": "MobileNetV3"},
        changed(lambda config: config["blocks"].pop()),
        changed(lambda config: config["blocks"][2]["conv"].update(kernel_size=9)),
        changed(lambda config: config["blocks"][2]["conv"].update(mid_channels=80)),
        changed(lambda config: config["blocks"][2]["conv"].update(use_se=True)),
        changed(lambda config: config["blocks"][2].update(shortcut=None)),
        changed(lambda config: config["first_conv"].update(groups=3)),
        changed(lambda config: config["classifier"].update(out_features=10)),
        changed(lambda config: config.pop("bn")),
        changed(lambda config: config.update(name="VGG")),
        changed(lambda config: config["blocks"][0].update(name="Mystery")),
        changed(lambda config: config["blocks"][0]["conv"].update(act_func="swish")),
        changed(lambda config: config["blocks"][0]["conv"].pop("in_channels")),
        changed(lambda config: config.update(blocks=3)),
        changed(lambda config: config["first_conv"].update(out_channels="many")),
        net_config(OFA_RESNET50D, OFA_RESNET50D.smallest()),
    ],
)
def test_what_is_no_subnet_of_a_named_space_is_refused(config):
    with pytest.raises(InvalidValueError, match=r"net\.config: must be a subnet of a named MobileNet space"):
        subnet_of_config(config, 224)


def test_subnets_of_another_space_are_refused():
    with pytest.raises(InvalidValueError, match="subnet"):
        net_config(OFA_MBV3_W10, OFA_RESNET50D.largest())


def test_any_spoilt_configuration_is_read_or_refused_in_one_line():
    config = net_config(DIGITS, DIGITS.smallest())

    def read(content):
        with reading("net.config"):
            found = parse_json(content, dict[str, Any], "net.config")
            space, subnet = subnet_of_config(found, DIGITS.resolutions[0])
        assert net_config(space, subnet)["name"] == config["name"]

    accepted, refused = drive(read, mutated_json(config, 2_000))
    assert accepted > 20
    assert refused > 1_000
