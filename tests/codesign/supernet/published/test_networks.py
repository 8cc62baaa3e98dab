"""Loading published files, played by files that the reference implementation writes."""

import json

import pytest
import torch
from support.networks.named_spaces import DIGITS, OFA_MBV3_W10, OFA_MBV3_W12, OFA_RESNET50D
from support.networks.reference_ofa import reference_supernet

from codesign.supernet.network.standalone import Network
from codesign.supernet.published import specialised
from codesign.supernet.published.artefacts import select
from codesign.supernet.published.net_config import net_config
from codesign.supernet.published.official_weights import SUPERNETS, load_official_supernet
from codesign.supernet.published.specialised import find_specialised, load_specialised
from hw_templates.foundation.errors import FetchError, InvalidValueError, StorageError

SHORT = "ofa-note10-08"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CODESIGN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A state dict of the narrower MobileNetV3, as its authors saved theirs."""
    path = tmp_path_factory.mktemp("published") / "weights"
    torch.save({"state_dict": reference_supernet("ofa-mbv3-w1.0").state_dict()}, path)
    return path


def test_a_supernet_is_read_from_its_file(weights):
    official = load_official_supernet(OFA_MBV3_W10, weights)
    state = torch.load(weights, weights_only=True)["state_dict"]
    assert torch.equal(official.supernet.stem.weight, state["first_conv.conv.weight"])
    assert torch.equal(official.statistics.mean["stem"], state["first_conv.bn.running_mean"])


@pytest.mark.parametrize("space", [OFA_MBV3_W12, OFA_RESNET50D], ids=lambda space: space.name)
def test_a_supernet_of_another_width_or_family_is_refused(weights, space):
    with pytest.raises(InvalidValueError, match=rf"state_dict\..* {space.name}"):
        load_official_supernet(space, weights)


def test_every_published_supernet_can_be_fetched():
    assert sorted(SUPERNETS.values()) == sorted(one.name for one in select(["ofa_nets"]))


def test_what_was_not_fetched_is_told(cache):
    with pytest.raises(FetchError, match=r"`codesign fetch ofa_nets/ofa_mbv3_d234_e346_k357_w1\.0` brings it"):
        load_official_supernet(OFA_MBV3_W10)
    with pytest.raises(FetchError, match="`codesign fetch ofa_specialized/note10_lat-8ms"):
        load_specialised(find_specialised(SHORT))
    with pytest.raises(InvalidValueError, match=r"space: must be one of ofa-mbv3-w1\.0, .* got 'digits'"):
        load_official_supernet(DIGITS)


def test_specialised_networks_are_found_by_both_names():
    net = find_specialised(SHORT)
    assert net is find_specialised("note10_lat-8ms_top1-71.4_finetune-25")
    with pytest.raises(InvalidValueError, match="network: must be one that `codesign supernet specialised` lists"):
        find_specialised("note10")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of files that count as fetched, for any network."""
    monkeypatch.setattr(specialised, "fetched", lambda name: tmp_path / name.rpartition("/")[2])
    net = find_specialised(SHORT)
    config = net_config(net.space, net.subnet)
    torch.manual_seed(0)
    (tmp_path / "net.config").write_text(json.dumps(config))
    torch.save({"state_dict": Network(net.space, net.subnet).state_dict()}, tmp_path / "init")
    return tmp_path


def test_a_specialised_network_is_read_from_its_files(folder):
    net = find_specialised(SHORT)
    config, network = load_specialised(net)
    state = torch.load(folder / "init", weights_only=True)["state_dict"]
    assert config == net_config(net.space, net.subnet)
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, net.subnet.resolution, net.subnet.resolution)).shape == (1, 1000)


def test_files_of_another_network_are_refused(folder):
    with pytest.raises(InvalidValueError, match=r"net\.config: must be that of flops-389M"):
        load_specialised(find_specialised("ofa-389M"))
    other = find_specialised("ofa-note10-11")
    torch.save({"state_dict": Network(other.space, other.subnet).state_dict()}, folder / "init")
    with pytest.raises(InvalidValueError, match=r"state_dict\.blocks"):
        load_specialised(find_specialised(SHORT))


def test_damaged_and_missing_files_are_named(folder):
    (folder / "net.config").write_text("{")
    with pytest.raises(StorageError, match=r"net\.config: net\.config: must be sound JSON .*; fetch it anew"):
        load_specialised(find_specialised(SHORT))
    (folder / "net.config").unlink()
    with pytest.raises(StorageError, match=r"net\.config: no such file"):
        load_specialised(find_specialised(SHORT))
