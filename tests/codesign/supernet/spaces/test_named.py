import dataclasses

import pytest
from support.networks.named_spaces import CIFAR10, OFA_MBV3_W10, OFA_MBV3_W12, OFA_PROXYLESS_W13

from codesign.supernet.spaces.named import SPACES, load_space, space_names
from hw_templates.foundation.errors import InvalidValueError, StorageError


def test_every_space_has_its_own_name():
    for name in space_names():
        assert load_space(name).name == name
    with pytest.raises(InvalidValueError, match="space: must be one of cifar10, cifar10-small, digits"):
        load_space("imaginary")


def test_the_published_space_is_as_large_as_its_paper_says():
    """Cai et al. 2020, section 3.1: ((3 * 3)^2 + (3 * 3)^3 + (3 * 3)^4)^5, about 2 * 10^19, for each input size."""
    subnets = (9**2 + 9**3 + 9**4) ** 5
    assert subnets > 10**19
    assert dataclasses.replace(OFA_MBV3_W10, resolutions=(224,)).size() == subnets
    assert OFA_MBV3_W12.size() == 25 * subnets


def test_widths_of_the_published_spaces():
    assert [stage.width for stage in OFA_MBV3_W12.stages] == [24, 32, 48, 96, 136, 192]
    assert (OFA_MBV3_W12.final_width, OFA_MBV3_W12.mix_width) == (1152, 1536)
    assert [stage.width for stage in OFA_PROXYLESS_W13.stages] == [24, 32, 56, 104, 128, 248, 416]


def test_bits_are_genes_where_a_space_has_a_choice():
    kinds = {name.rpartition(".")[2] for name, _ in CIFAR10.genes}
    assert "weight_bits" in kinds
    assert CIFAR10.largest().stages[0][0].weight_bits == 8
    assert CIFAR10.smallest().stages[0][0].weight_bits == 4
    assert not any(name.endswith("weight_bits") for name, _ in OFA_MBV3_W10.genes)


@pytest.mark.parametrize("name", space_names())
def test_every_space_begins_one_of_your_own(name, tmp_path):
    (tmp_path / "mine.toml").write_text(SPACES.text(name))
    assert load_space(str(tmp_path / "mine.toml")) == dataclasses.replace(load_space(name), name="mine")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('family = "mobile"', "", r"space\.family: must be one of mobile, resnet, got None"),
        ('family = "mobile"', 'family = "mobil"', r"space\.family: .*, got 'mobil'; did you mean 'mobile'\?"),
        ("num_classes", "nun_classes", r"space\.nun_classes: must be given as num_classes, got 10"),
        ("num_classes = 10", "", r"space\.num_classes: must be given, got None"),
        ("num_classes = 10", "num_classes = 0", r"space\.num_classes: must be a positive whole number, got 0"),
        ("num_classes = 10", "num_classes = 10.5", r"space\.num_classes: must be a whole number, got 10\.5"),
        ("stride = 2", "stride = 3", r"space\.stages\[1\]\.stride: must be 1 or 2, got 3"),
        ("squeeze_excite", "squeeze_excit", r"space\.stages\[0\]\.squeeze_excit: must be given as squeeze_excite"),
        ('"relu"', '"tanh"', r"space\.stages\[0\]\.activation: must be one of .*relu.*, got 'tanh'"),
        ("[8, 12, 16]", "[8, 13]", r"space\.resolutions: must be a multiple of 4, the product of the strides, got 13"),
        ("[3, 5, 7]", "[3, 4]", r"stage\.kernels: must be chosen from 3, 5 and 7, got \(3, 4\)"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_by_its_field(before, after, message, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SPACES.text("digits").replace(before, after, 1))
    with pytest.raises(StorageError, match=rf"mine\.toml: {message}") as error:
        load_space(str(path))
    assert "\n" not in str(error.value)


def test_another_package_adds_a_space(tmp_path, monkeypatch):
    about = tmp_path / "toy-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[codesign.spaces]\nwide = toy_spaces:WIDE\n")
    (tmp_path / "toy_spaces.py").write_text(
        "from dataclasses import replace\nfrom codesign.supernet.spaces.named import load_space\n"
        "WIDE = replace(load_space('digits'), name='wide', final_width=256)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(vars(SPACES), "_entry_points", raising=False)
    try:
        assert "wide" in space_names()
        assert load_space("wide") == dataclasses.replace(load_space("digits"), name="wide", final_width=256)  # type: ignore[call-arg]
    finally:
        del vars(SPACES)["_entry_points"]
