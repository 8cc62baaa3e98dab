"""Single networks as ``net.config``: the form in which the reference implementation (``ofa`` package) builds them.

A configuration is a dictionary fit for JSON: the network's family by name, and its layers in the order they run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codesign.supernet.spaces.mobile import MobileSpace, MobileSubnet
from codesign.supernet.spaces.named import load_space, space_names
from codesign.supernet.spaces.resnet import ResNetSpace, ResNetSubnet, bottleneck_channels
from codesign.supernet.spaces.space import Choice, Space, Subnet, round_channels
from cost_models.workload import Activation
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import parse_json, reading

Config = dict[str, Any]

ACTIVATIONS = {
    Activation.RELU: "relu",
    Activation.RELU6: "relu6",
    Activation.HSWISH: "h_swish",
    Activation.IDENTITY: None,
}
_COMMON = {"dropout_rate": 0, "ops_order": "weight_bn_act"}
_OLDER_NAMES = {
    "MobileInvertedResidualBlock": "ResidualBlock",
    "MBInvertedConvLayer": "MBConvLayer",
    "mobile_inverted_conv": "conv",
}
# What decides nothing about the results of a trained network, and defaults that only some versions write.
_INCIDENTAL = {"dropout_rate", "momentum", "ws_eps"}
_DEFAULTS = {"use_se": (False,), "groups": (None, 1), "has_shuffle": (False,), "dilation": (1,)}


def net_config(space: Space, subnet: Subnet) -> Config:
    """Return the configuration of a subnet as a network of its own; bits of weights are not part of it.

    Raises:
        InvalidValueError: the subnet is not of the space, or the reference implementation has no such network.
    """
    space.check(subnet)
    if isinstance(space, ResNetSpace) and isinstance(subnet, ResNetSubnet):
        return _resnet(space, subnet)
    assert isinstance(space, MobileSpace)
    assert isinstance(subnet, MobileSubnet)
    return _mobile(space, subnet)


def _convolution(in_channels: int, out_channels: int, kernel: int, stride: int, activation: Activation) -> Config:
    return {
        "name": "ConvLayer",
        "kernel_size": kernel,
        "stride": stride,
        "dilation": 1,
        "groups": 1,
        "bias": False,
        "has_shuffle": False,
        "use_se": False,
        "in_channels": in_channels,
        "out_channels": out_channels,
        "use_bn": True,
        "act_func": ACTIVATIONS[activation],
        **_COMMON,
    }


def _identity(channels: int) -> Config:
    plain = {"use_bn": False, "act_func": None, **_COMMON}
    return {"name": "IdentityLayer", "in_channels": channels, "out_channels": channels, **plain}


def _classifier(in_features: int, out_features: int) -> Config:
    plain = {"bias": True, "use_bn": False, "act_func": None, **_COMMON}
    return {"name": "LinearLayer", "in_features": in_features, "out_features": out_features, **plain}


def _mobile(space: MobileSpace, subnet: MobileSubnet) -> Config:
    stem, last = space.stem, space.stages[-1].width
    blocks = []
    for position in space.positions:
        stage, present = space.stages[position.stage], subnet.stages[position.stage]
        if position.block >= len(present):
            continue
        block = present[position.block]
        inner = {
            "name": "MBConvLayer",
            "in_channels": position.in_channels,
            "out_channels": position.out_channels,
            "kernel_size": block.kernel,
            "stride": position.stride,
            # The reference leaves the expansion out where this is 1.
            "expand_ratio": None if stage.expanding and block.expand == 1 else block.expand,
            "mid_channels": position.expanded_channels(block.expand) if stage.expanding else None,
            "act_func": ACTIVATIONS[stage.activation],
            "use_se": stage.squeeze_excite,
            "groups": None,
        }
        shortcut = _identity(position.in_channels) if position.residual else None
        blocks.append({"name": "ResidualBlock", "conv": inner, "shortcut": shortcut})
    config = {
        "name": "ProxylessNASNets" if space.mix_width is None else "MobileNetV3",
        "bn": {"momentum": 0.1, "eps": space.batch_norm_epsilon},
        "first_conv": _convolution(space.image_channels, stem.width, stem.kernel, stem.stride, stem.activation),
        "blocks": blocks,
    }
    final = _convolution(last, space.final_width, 1, 1, space.final_activation)
    if space.mix_width is None:
        config |= {"feature_mix_layer": final}
    else:
        mix = _convolution(space.final_width, space.mix_width, 1, 1, space.final_activation) | {"use_bn": False}
        config |= {"final_expand_layer": final, "feature_mix_layer": mix}
    return config | {"classifier": _classifier(space.mix_width or space.final_width, space.num_classes)}


def _resnet(space: ResNetSpace, subnet: ResNetSubnet) -> Config:
    relu, stem = Activation.RELU, subnet.stem
    middle, channels = space.stem_mid_channels(stem.mid_width), space.stem_channels(stem.width)
    layers = [_convolution(space.image_channels, middle, 3, 2, relu)]
    if stem.depth:
        residual = _convolution(middle, middle, 3, 1, relu)
        layers.append({"name": "ResidualBlock", "conv": residual, "shortcut": _identity(middle)})
    layers.append(_convolution(middle, channels, 3, 1, relu))
    blocks = []
    for index, (stage, choice) in enumerate(zip(space.stages, subnet.stages, strict=True)):
        width = space.stage_channels(index, choice.width)
        if stage.stride == 1 and channels == width:
            expected = f"other than the {channels} before it at stride 1, where the ofa package has no shortcut layer"
            raise InvalidValueError(f"subnet.stage{index + 1}.width", width, expected)
        for number, expand in enumerate(choice.expands):
            block = {
                "name": "ResNetBottleneckBlock",
                "in_channels": channels,
                "out_channels": width,
                "kernel_size": 3,
                "stride": stage.stride if number == 0 else 1,
                "expand_ratio": expand,
                "mid_channels": bottleneck_channels(width, expand),
                "act_func": ACTIVATIONS[relu],
                "groups": 1,
                "downsample_mode": "avgpool_conv",
            }
            blocks.append(block)
            channels = width
    return {
        "name": "ResNets",
        "bn": {"momentum": 0.1, "eps": space.batch_norm_epsilon},
        "input_stem": layers,
        "blocks": blocks,
        "classifier": _classifier(channels, space.num_classes),
    }


def middle_channels(block: Mapping[str, Any]) -> int:
    """Return the channels of a block's depthwise or 3x3 convolution, which configurations need not write down."""
    return int(block["mid_channels"] or round_channels(round(block["in_channels"] * block["expand_ratio"])))


def modernised(config: Any) -> Any:
    """Return the configuration with the names of the newest version of the reference implementation."""
    if isinstance(config, Mapping):
        return {_OLDER_NAMES.get(key, key): modernised(value) for key, value in config.items()}
    if isinstance(config, list):
        # Older versions wrote an identity's channels as lists of one number.
        return config[0] if len(config) == 1 and isinstance(config[0], int) else [modernised(one) for one in config]
    return _OLDER_NAMES.get(config, config) if isinstance(config, str) else config


def _essential(config: Any) -> Any:
    """What of a configuration decides on the network that is computed."""
    if isinstance(config, Mapping):
        kept = {
            name: _essential(value)
            for name, value in config.items()
            if name not in _INCIDENTAL and value not in _DEFAULTS.get(name, ())
        }
        return kept | ({"mid_channels": middle_channels(config)} if "mid_channels" in config else {})
    return [_essential(one) for one in config] if isinstance(config, list) else config


def parse_config(content: bytes, path: Path, resolution: int) -> tuple[Config, Space, Subnet]:
    """Return the configuration that a ``net.config`` holds, with its space and subnet; see :func:`subnet_of_config`.

    Args:
        content: of the file.
        path: its name, for messages.
        resolution: of the subnet.

    Raises:
        StorageError: it is no configuration, or that of no subnet of a named space.
    """
    with reading(path, "fetch it anew"):
        config = parse_json(content, dict[str, Any], "net.config")
        return config, *subnet_of_config(config, resolution)


def subnet_of_config(config: Config, resolution: int) -> tuple[Space, Subnet]:
    """Return the named space that a mobile network's configuration is a subnet of, and that subnet.

    The subnet has the given resolution, which need not be one of the space's.

    Raises:
        InvalidValueError: it is a subnet of none.
    """
    modern = modernised(config)
    for name in space_names():
        space = load_space(name)
        if not isinstance(space, MobileSpace):
            continue
        try:
            subnet = space.build({**_mobile_values(space, modern), "resolution": space.resolutions[0]})
            same = _essential(net_config(space, subnet)) == _essential(modern)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, InvalidValueError):
            continue
        if same:
            return space, MobileSubnet(resolution, subnet.stages)
    raise InvalidValueError("net.config", config.get("name"), "a subnet of a named MobileNet space")


def _mobile_values(space: MobileSpace, config: Config) -> dict[str, Choice]:
    """Return the blocks of a configuration, handed out to the space's stages by width and stride."""
    values: dict[str, Choice] = {}
    stage = depth = 0
    for block in (one["conv"] for one in config["blocks"]):
        following = stage + 1 < len(space.stages) and (
            block["in_channels"] != block["out_channels"]
            or block["stride"] == 2
            or depth == space.stages[stage].depths[-1]
        )
        if depth and following:
            stage, depth = stage + 1, 0
        depth += 1
        name = f"stage{stage + 1}"
        values[f"{name}.depth"] = depth
        kinds = {"kernel": block["kernel_size"], "expand": block["expand_ratio"] or 1, "weight_bits": 8}
        values |= {f"{name}.block{depth}.{kind}": value for kind, value in kinds.items()}
    return values
