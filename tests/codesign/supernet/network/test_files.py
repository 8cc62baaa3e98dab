"""Written networks, read back by torch, by ONNX's reference and by the reference implementation."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from support.networks.named_spaces import CIFAR10
from support.networks.reference_ofa import import_ofa

from codesign.supernet.network import files as network_files
from codesign.supernet.network.files import NetworkToWrite, check_format, write_network
from codesign.supernet.network.standalone import extract
from codesign.supernet.network.subnets import recalibrate
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.published.net_config import net_config
from hw_templates.foundation.errors import InvalidValueError, StorageError, ToolError

COUNT = 3


@pytest.fixture(scope="module")
def net():
    """A subnet of elastic bits with every kind of layer, its gates and batch norms not the identity."""
    supernet, subnet = Supernet(CIFAR10, 5), CIFAR10.sample(np.random.default_rng(3))
    images = torch.randn(16, 3, subnet.resolution, subnet.resolution, generator=torch.Generator().manual_seed(0))
    network = extract(supernet, subnet, recalibrate(supernet, subnet, images))
    about = {"space": CIFAR10.name, "choices": subnet.as_dict()}
    return NetworkToWrite(
        network=network, config=net_config(CIFAR10, subnet), resolution=subnet.resolution, image_channels=3, about=about
    )


@pytest.fixture(scope="module")
def images(net):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(COUNT, 3, net.resolution, net.resolution, generator=generator)


@pytest.fixture(scope="module")
def logits(net, images):
    with torch.inference_mode():
        return net.network(images)


def test_torch_files_need_nothing_of_this_package(net, images, logits, tmp_path):
    paths = write_network(tmp_path, net, "torch")
    assert [path.name for path in paths] == ["network.pt2", "weights.pth", "network.json"]
    torch.save(images, tmp_path / "images")
    code = (
        "import sys, torch\n"
        "program = torch.export.load(sys.argv[1] + '/network.pt2').module()\n"
        "torch.save(program(torch.load(sys.argv[1] + '/images', weights_only=True)), sys.argv[1] + '/logits')\n"
        "sys.exit(any(name.partition('.')[0] == 'codesign' for name in sys.modules))\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code, str(tmp_path)], check=True, cwd=tmp_path)
    found = torch.load(tmp_path / "logits", weights_only=True)
    torch.testing.assert_close(found, logits, atol=1e-5, rtol=1e-5)
    weights = torch.load(tmp_path / "weights.pth", weights_only=True)
    assert all(torch.equal(weights[name], tensor) for name, tensor in net.network.state_dict().items())
    record = json.loads((tmp_path / "network.json").read_text())
    assert record == {**net.about, "resolution": net.resolution, "net.config": net.config}


def test_onnx_files_give_the_same_logits(net, images, logits, tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx.reference import ReferenceEvaluator

    write_network(tmp_path, net, "onnx")
    model = onnx.load(tmp_path / "network.onnx")
    onnx.checker.check_model(model, full_check=True)
    [found] = ReferenceEvaluator(model).run(["logits"], {"images": images.numpy()})
    assert found.shape == (COUNT, 10)
    assert np.abs(found - logits.numpy()).max() < 1e-4
    assert float(logits.std()) > 1e-3


def test_ofa_files_are_built_by_the_reference(net, images, logits, tmp_path):
    import_ofa()
    from ofa.imagenet_classification.networks import get_net_by_name

    paths = write_network(tmp_path, net, "ofa")
    assert [path.name for path in paths] == ["net.config", "run.config", "init", "network.json"]
    config = json.loads((tmp_path / "net.config").read_text())
    theirs = get_net_by_name(config["name"]).build_from_config(config).eval()
    theirs.load_state_dict(torch.load(tmp_path / "init", weights_only=True)["state_dict"])
    with torch.inference_mode():
        torch.testing.assert_close(theirs(images), logits, atol=1e-5, rtol=1e-5)
    assert json.loads((tmp_path / "run.config").read_text()) == {"image_size": net.resolution}


def test_other_formats_are_refused(net, tmp_path):
    for refuse in (check_format, lambda name: write_network(tmp_path, net, name)):
        with pytest.raises(InvalidValueError, match="format: must be one of torch, onnx, ofa, got 'tflite'"):
            refuse("tflite")


def test_a_missing_onnx_is_told_with_the_extra(net, tmp_path, monkeypatch):
    monkeypatch.setattr(network_files, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"onnx: is not installed; run `.* -m pip install .*\[onnx\]'?`"):
        write_network(tmp_path, net, "onnx")


def test_a_folder_that_cannot_be_written_is_named(net, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        write_network(tmp_path / "file", net, "ofa")


def test_files_hold_weights_only(net, tmp_path):
    write_network(tmp_path, net, "ofa")
    assert torch.load(io.BytesIO((tmp_path / "init").read_bytes()), weights_only=True).keys() == {"state_dict"}
