"""Commands that install optional parts can be pasted, from a checkout and from an installed package."""

import re
import shlex
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from hw_templates.foundation import extras
from hw_templates.foundation.errors import ToolError
from hw_templates.foundation.extras import install_command, missing_extras_named

ROOT = Path(__file__).parents[3]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_a_checkout_is_installed_by_its_path_with_the_python_that_runs() -> None:
    words = shlex.split(install_command("board"))
    assert words == [sys.executable, "-m", "pip", "install", "--editable", f"{ROOT}[board]"]
    assert Path(words[0]).exists()


def test_an_installed_package_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stated = [
        "rich>=13.7",
        'asyncssh>=2.18; extra == "board"',
        'pynq==4.0.0; python_version < "3.13" and extra == "board"',
        'onnx>=1.16; extra == "onnx"',
    ]
    monkeypatch.setattr(extras, "_ROOT", tmp_path)
    monkeypatch.setattr(extras, "requires", lambda _: stated)
    words = shlex.split(install_command("board"))
    assert words[1:] == ["-m", "pip", "install", "asyncssh>=2.18", 'pynq==4.0.0; python_version < "3.13"']


def test_every_module_of_an_extra_is_brought_by_it() -> None:
    owners = packages_distributions()
    for extra, modules in extras.EXTRAS.items():
        brought = {re.match(r"[\w-]+", line)[0].lower() for line in EXTRAS[extra]}
        assert {owner.lower() for module in modules for owner in owners[module]} <= brought


def test_a_missing_module_of_an_extra_becomes_one_line() -> None:
    with (
        pytest.raises(ToolError, match=r"^torch: is not installed; it comes with the extra 'train': run `.*pip "),
        missing_extras_named(),
    ):
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")


def test_another_missing_module_is_no_matter_of_extras() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"codesign\.nothing"), missing_extras_named():
        raise ModuleNotFoundError("No module named 'codesign.nothing'", name="codesign.nothing")


def test_every_message_names_an_extra_that_there_is() -> None:
    packages = ("codesign", "bitstreams", "cost_models", "hw_templates")
    text = "".join(path.read_text() for package in packages for path in (ROOT / package).rglob("*.py"))
    named = set(re.findall(r"install_command\('(\w+)'\)", text))
    assert named == {"board", "hls4ml", "onnx"}
    assert named <= EXTRAS.keys()
    assert "codesign[" not in text
