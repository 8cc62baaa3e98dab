"""The front door: light, lazy, documented, and complete on one page."""

import importlib
import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import codesign
from codesign.templates.engine import checks

ROOT = Path(__file__).parent.parent
HEAVY = {"numpy", "torch", "numba", "optuna", "scipy", "networkx"}
ERRORS = {name for name in codesign.__all__ if name.endswith("Error")}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_api = load(ROOT / "docs/make_api.py")


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_importing_it_imports_nothing_heavy() -> None:
    loaded = python("import sys, codesign; dir(codesign), codesign.__version__; print(*sys.modules)").split()
    assert "codesign" in loaded
    assert not HEAVY & set(loaded)


def test_a_board_is_loaded_without_what_searches_or_trains() -> None:
    loaded = python("import sys, codesign; codesign.load_board('pynq-z2'); print(*sys.modules)").split()
    assert not HEAVY - {"numpy"} & set(loaded)


def test_a_function_keeps_its_name_where_a_package_shares_it() -> None:
    importlib.import_module("codesign.report.page")
    not_called = {name for name in codesign.__all__ if not callable(getattr(codesign, name))}
    assert not_called == {"__version__", "calibration"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'codesign' has no attribute 'serach'$"):
        _ = codesign.serach  # type: ignore[attr-defined]


def test_every_name_is_there_and_documented() -> None:
    assert set(codesign.__all__) <= set(dir(codesign))
    for name in codesign.__all__:
        assert name == "__version__" or re.match(r"[A-Z].*[.:]$", make_api.summary(getattr(codesign, name))), name


def test_the_page_of_the_public_surface_is_up_to_date() -> None:
    assert make_api.PAGE.read_text() == make_api.page(), "run `python docs/make_api.py`"
    listed = re.findall(r"^- `(\w+)", make_api.PAGE.read_text(), re.MULTILINE)
    assert set(listed) == set(codesign.__all__) - {"__version__"}


def test_every_name_is_used_in_an_example() -> None:
    sources = [make_api.EXAMPLES, *(ROOT / "examples").glob("*.py")]
    used = set(re.findall(r"\bcodesign\.(\w+)", "".join(path.read_text() for path in sources)))
    assert set(codesign.__all__) - ERRORS - {"__version__"} <= used


def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checks, "count_blocks", lambda _: (0, 0, 0))  # yosys takes minutes
    runpy.run_path(str(make_api.EXAMPLES))
