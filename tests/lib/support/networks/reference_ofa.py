"""The reference implementation of once-for-all networks (PyPI package ``ofa``), as an independent opinion."""

import importlib.util
import random
from pathlib import Path

import pytest
import torch
from support.networks.torchvision_stand_in import torchvision_stand_in


def import_ofa():
    """The networks of the ``ofa`` package, or a skip with the reason."""
    with torchvision_stand_in():
        return pytest.importorskip(
            "ofa.imagenet_classification.elastic_nn.networks", reason="the ofa package is not installed"
        )


MOBILE = {"ks_list": [3, 5, 7], "expand_ratio_list": [3, 4, 6], "depth_list": [2, 3, 4], "dropout_rate": 0}


def reference_supernet(name, seed=0):
    """The reference's supernet for one of our spaces by name, with random weights and statistics, to evaluate."""
    ofa = import_ofa()
    torch.manual_seed(seed)
    networks = {
        "ofa-mbv3-w1.0": lambda: ofa.OFAMobileNetV3(width_mult=1.0, **MOBILE),
        "ofa-mbv3-w1.2": lambda: ofa.OFAMobileNetV3(width_mult=1.2, **MOBILE),
        "ofa-proxyless-w1.3": lambda: ofa.OFAProxylessNASNets(width_mult=1.3, **MOBILE),
        "ofa-resnet50d": lambda: ofa.OFAResNets(
            depth_list=[0, 1, 2], expand_ratio_list=[0.2, 0.25, 0.35], width_mult_list=[0.65, 0.8, 1.0], dropout_rate=0
        ),
    }
    network = networks[name]()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.1)
        for parameter_name, parameter in network.named_parameters():
            if parameter_name.endswith("matrix"):
                parameter.add_(0.1 * torch.randn_like(parameter))
        # Logits of order one, so that a difference shows.
        for parameter in network.classifier.parameters():
            parameter.mul_(20)
    return network.eval()


def settings(subnet):
    """A subnet of one of our spaces as the reference names its choices; what absent blocks would be is arbitrary."""
    if hasattr(subnet, "stem"):
        widths = (0.65, 0.8, 1.0)
        expands = [stage.expands + (0.35,) * 2 for stage in subnet.stages]
        most, base = (4, 4, 6, 4), (2, 2, 4, 2)
        return {
            "d": [2 * subnet.stem.depth, *(depth - least for depth, least in zip(subnet.depths, base, strict=True))],
            "e": [expand for stage, count in zip(expands, most, strict=True) for expand in stage[:count]],
            "w": [
                widths.index(w) for w in (subnet.stem.mid_width, subnet.stem.width, *(s.width for s in subnet.stages))
            ],
        }
    elastic = subnet.stages[1:]
    last_is_fixed = len(elastic) == 6
    counts = [4] * 5 + [1] * last_is_fixed
    blocks = [
        stage[index] if index < len(stage) else None
        for stage, count in zip(elastic, counts, strict=True)
        for index in range(count)
    ]
    return {
        "ks": [block.kernel if block else random.choice([3, 5, 7]) for block in blocks],
        "e": [block.expand if block else 3 for block in blocks],
        "d": [len(stage) for stage in elastic],
    }


def activate(network, subnet):
    """Make a subnet of one of our spaces the active one of the reference's supernet."""
    network.set_active_subnet(**settings(subnet))


RESNET_RESOLUTIONS = [128, 144, 160, 176, 192, 224, 240, 256]


def reference_accuracies(path, subnets):
    """What the reference's code makes of a published predictor's file and subnets of its space."""
    import_ofa()
    if hasattr(subnets[0], "stem"):
        from ofa.nas.accuracy_predictor import AccuracyPredictor, ResNetArchEncoder

        encoder = ResNetArchEncoder(image_size_list=RESNET_RESOLUTIONS)
        predictor = AccuracyPredictor(encoder, 400, 3, checkpoint_path=path, device="cpu")
        with torch.no_grad():
            found = predictor.predict_acc([{**settings(one), "image_size": one.resolution} for one in subnets])
        return found.numpy()
    import ofa

    # Its package imports a downloader that is not needed here.
    place = Path(ofa.__path__[0]) / "tutorial" / "accuracy_predictor.py"
    spec = importlib.util.spec_from_file_location("ofa_tutorial_predictor", place)
    tutorial = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tutorial)
    predictor = tutorial.AccuracyPredictor(pretrained=False, device="cpu")
    predictor.model.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return predictor.predict_accuracy([{**settings(one), "r": [one.resolution]} for one in subnets]).numpy()[:, 0]
