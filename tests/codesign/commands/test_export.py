import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from support.json_file import read_json, write_json
from support.networks.named_spaces import DIGITS, OFA_MBV3_W10
from support.networks.reference_ofa import reference_supernet
from typer.testing import CliRunner

from codesign.cli.main import app
from codesign.run.folder import Run
from codesign.run.requests import load_trained
from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES
from codesign.supernet.data.data_set import Split
from codesign.supernet.network.standalone import Network
from codesign.supernet.network.subnets import recalibrate
from codesign.supernet.published.net_config import net_config, subnet_of_config
from codesign.supernet.published.official_weights import load_weights
from codesign.supernet.published.specialised import specialised_nets


@pytest.fixture
def run(finished_run, tmp_path):
    return Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))


def export(*arguments):
    result = CliRunner().invoke(app, ["supernet", "export", *map(str, arguments), "--format", "ofa"])
    return result.exit_code, result.output


def read_back(folder):
    config, resolution = (json.loads((folder / name).read_text()) for name in ("net.config", "run.config"))
    network = Network(*subnet_of_config(config, resolution["image_size"]))
    load_weights(network, torch.load(folder / "init", weights_only=True)["state_dict"])
    return network


def check_exported(run, folder, subnet):
    """What lies in the folder answers as the subnet does in the supernet."""
    trained = load_trained(run)
    training = trained.data.resized(Split.TRAIN, subnet.resolution)[:CALIBRATION_IMAGES]
    supernet = trained.checkpoint.supernet()
    images = trained.data.resized(Split.TEST, subnet.resolution)
    with torch.inference_mode():
        expected = supernet(images, subnet, recalibrate(supernet, subnet, training))
        torch.testing.assert_close(read_back(folder)(images), expected, atol=1e-3, rtol=1e-3)
    assert json.loads((folder / "run.config").read_text()) == {"image_size": subnet.resolution}


def test_the_winner_of_a_run_is_exported(run, tmp_path):
    code, output = export(run.folder, "--out", tmp_path / "out")
    assert code == 0, output
    subnet = DIGITS.parse_subnet(read_json(run.project / "project.json")["origin"]["subnet"])
    check_exported(run, tmp_path / "out", subnet)
    assert f"export     winner of {run.folder}" in output
    assert f"of {CALIBRATION_IMAGES} training images" in output
    about = json.loads((tmp_path / "out" / "network.json").read_text())
    assert about["choices"] == subnet.as_dict()
    assert about["checkpoint"] == load_trained(run).checkpoint.digest


def test_the_pair_shown_last_is_the_winner(run, tmp_path):
    shown = CliRunner().invoke(app, ["winner", str(run.folder), "--max-latency-ms", "0.15"])
    assert shown.exit_code == 0, shown.output
    assert export(run.folder, "--out", tmp_path / "out")[0] == 0
    check_exported(run, tmp_path / "out", DIGITS.parse_subnet(read_json(run.winner)["subnet"]))


def test_a_subnet_of_ones_own_is_exported(run, tmp_path):
    subnet = DIGITS.sample(np.random.default_rng(0))
    (tmp_path / "mine.json").write_text(json.dumps(subnet.as_dict()))
    assert export(run.folder, "--subnet", tmp_path / "mine.json", "--out", tmp_path / "out")[0] == 0
    check_exported(run, tmp_path / "out", subnet)
    assert export(run.folder, "--subnet", "smallest", "--out", tmp_path / "out")[0] == 0
    check_exported(run, tmp_path / "out", DIGITS.smallest())


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "weights"
    torch.save({"state_dict": reference_supernet("ofa-mbv3-w1.0").state_dict()}, path)
    return path


def test_a_subnet_of_a_published_supernet_is_exported(weights, tmp_path):
    code, output = export("ofa-mbv3-w1.0", "--subnet", "smallest", "--weights", weights, "--out", tmp_path / "out")
    assert code == 0, output
    assert "recalibrate them with training images" in output
    config = json.loads((tmp_path / "out" / "net.config").read_text())
    assert config == net_config(OFA_MBV3_W10, OFA_MBV3_W10.smallest())
    read_back(tmp_path / "out")


def test_the_winner_of_a_search_without_a_supernet_has_published_weights(weights, tmp_path):
    run, subnet = Run(tmp_path / "run"), OFA_MBV3_W10.sample(np.random.default_rng(1))
    run.folder.mkdir()
    write_json(run.winner, {"space": "ofa-mbv3-w1.0", "subnet": subnet.as_dict()})
    code, output = export(run.folder, "--weights", weights, "--out", tmp_path / "out")
    assert code == 0, output
    assert json.loads((tmp_path / "out" / "net.config").read_text()) == net_config(OFA_MBV3_W10, subnet)


def test_a_fetched_specialised_network_is_exported(tmp_path, monkeypatch):
    monkeypatch.setenv("CODESIGN_CACHE", str(tmp_path / "cache"))
    net = specialised_nets()[0]
    code, output = export(net.short, "--out", tmp_path / "out")
    assert (code, output.count("\n")) == (2, 1)
    assert f"`codesign fetch ofa_specialized/{net.name}/net.config` brings it" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mystery",), "SOURCE: must be a run folder, the name of a space, or that of a specialised network"),
        (("digits",), "SOURCE: must be one of ofa-mbv3-w1.0"),
        (("ofa-mbv3-w1.0", "--subnet", "huge"), "--subnet: must be largest, smallest, or a JSON file"),
        (("ofa-389M", "--subnet", "largest"), "--subnet: must be left out for a specialised network"),
        (("ofa-mbv3-w1.0", "--weights", "/absent"), "/absent: no such file"),
        (("ofa-mbv3-w1.0", "--format", "tflite"), "--format: must be one of torch, onnx, ofa"),
    ],
)
def test_bad_requests_end_in_one_line(arguments, message, tmp_path):
    order = ["supernet", "export", "--format", "ofa", *arguments, "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, order)
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert message in result.output
    assert not (tmp_path / "out").exists()


def test_bad_subnets_of_a_run_end_in_one_line(run, tmp_path):
    subnet = OFA_MBV3_W10.smallest().as_dict()
    outside = {**DIGITS.smallest().as_dict(), "resolution": 10}
    cases = [
        (subnet, "--subnet: stages: must be 3 stages"),
        (outside, r"--subnet: resolution: must be one of (8, 12, 16), got 10"),
    ]
    for content, message in [
        *cases,
        ({}, "subnet.json: subnet.resolution: must be given"),
        ([], "subnet: must be an object, got []"),
    ]:
        (tmp_path / "subnet.json").write_text(json.dumps(content))
        code, output = export(run.folder, "--subnet", tmp_path / "subnet.json", "--out", tmp_path / "out")
        assert (code, output.count("\n")) == (2, 1), output
        assert message in output
    code, output = export(run.folder, "--weights", tmp_path / "subnet.json", "--out", tmp_path / "out")
    assert "weights: must be left out" in output
    (tmp_path / "empty").mkdir()
    code, output = export(tmp_path / "empty", "--out", tmp_path / "out")
    assert "no winner in this run yet" in output
    assert not (tmp_path / "out").exists()
