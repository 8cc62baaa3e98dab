import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cost_models
import hw_templates
from cost_models.closed_form import layer_prices, mapper
from cost_models.closed_form.compiled import SOURCES, digest_of

PACKAGES = tuple(Path(package.__file__).parent for package in (cost_models, hw_templates))

# A kernel of one formula, which takes little to compile.
MODULE = """
from cost_models.closed_form.compiled import kernel
from cost_models.closed_form.latency import setup_cycles

@kernel
def setup(layers, engines):
    return setup_cycles(layers[0], engines[0], 1.0)
"""
# Cycles of the setup of a layer, and where its machine code is kept.
PRICE = """
from cost_models.coefficients import load_coefficients
from cost_models.closed_form.records import LayerRecords, engine_records
from cost_models.setup_kernel import setup
from cost_models.workload import Layer, Operation
from hw_templates.conv_engine.accelerator import Accelerator, AcceleratorColumns
from hw_templates.board import load_board
columns = AcceleratorColumns.of([Accelerator(
    pe_rows=16, pe_cols=8, pe_pixels=2, pack=1, ifmap_kib=8, weight_kib=8, ofmap_kib=8,
    axi_bits=32, clock_mhz=100,
)])
engines = engine_records(columns, load_board("pynq-z2"), load_coefficients().latency)
layer = Layer(operation=Operation.CONV, in_channels=8, out_channels=16, in_height=4, in_width=4)
cycles = setup(LayerRecords.of([layer]).layers, engines)
print(cycles, setup.stats.cache_path, sum(setup.stats.cache_hits.values()))
"""


def copy_packages(folder: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "cost_models" / "setup_kernel.py").write_text(MODULE)


def price_in(folder: Path, **variables: str) -> tuple[float, Path | None, int]:
    """Cycles, the cache's folder and how often it held the machine code, in a process that imports the copy there."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environment = {**kept, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    done = subprocess.run(
        [sys.executable, "-c", PRICE], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    cycles, path, hits = done.stdout.split()
    return float(cycles), None if path == "None" else Path(path), int(hits)


def test_a_constant_of_another_package_is_not_priced_from_a_warm_cache(tmp_path: Path) -> None:
    packages, cache = tmp_path / "packages", {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    copy_packages(packages)
    before, _, hits = price_in(packages, **cache)
    assert hits == 0
    assert price_in(packages, **cache)[::2] == (before, 1)
    isa = packages / "hw_templates/conv_engine/isa.py"
    isa.write_text(isa.read_text().replace("TABLE_BYTES = 256", "TABLE_BYTES = 512"))
    # 256 bytes more, by a port of 4 bytes.
    assert price_in(packages, **cache)[::2] == (before + 64, 0)


@pytest.mark.parametrize("is_writable", [True, False])
def test_machine_code_is_kept_in_a_temporary_folder_where_no_other_can_be_written(
    tmp_path: Path, is_writable: bool
) -> None:
    packages, temporary = tmp_path / "packages", tmp_path / "temporary"
    copy_packages(packages)
    temporary.mkdir()
    # A file where a folder would be: not even the superuser can write there.
    for name in ("home", "packages/cost_models/__pycache__"):
        (tmp_path / name).touch()
    folder = temporary / f"codesign-numba-{os.getuid()}"
    if not is_writable:
        folder.touch()
    home = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home"), "TMPDIR": str(temporary)}
    _, path, _ = price_in(packages, **home)
    if is_writable:
        assert path is not None
        assert path.is_relative_to(folder)
        assert folder.stat().st_mode & 0o077 == 0
    else:
        assert path is None


@pytest.mark.parametrize("home", [{"HOME": "~"}, {"XDG_CACHE_HOME": "~/.cache"}, {"XDG_CACHE_HOME": ""}])
def test_machine_code_never_lies_where_the_program_was_started(tmp_path: Path, home: dict[str, str]) -> None:
    """As where the user has no home, and a tilde stays one."""
    packages, temporary = tmp_path / "packages", tmp_path / "temporary"
    copy_packages(packages)
    temporary.mkdir()
    (packages / "cost_models/__pycache__").touch()
    _, path, _ = price_in(packages, TMPDIR=str(temporary), **home)
    assert path is not None
    assert path.is_relative_to(temporary)
    assert sorted(entry.name for entry in packages.iterdir()) == ["cost_models", "hw_templates"]


def test_the_digest_covers_every_module_of_every_folder(tmp_path: Path) -> None:
    deep = tmp_path / "package" / "deep"
    deep.mkdir(parents=True)
    digests = {digest_of([tmp_path / "package"])}
    for path, text in (("one.py", "1"), ("deep/two.py", "2"), ("deep/two.py", "3"), ("deep/three.py", "")):
        (tmp_path / "package" / path).write_text(text)
        digests.add(digest_of([tmp_path / "package"]))
    (deep / "two.py").rename(deep / "four.py")
    digests.add(digest_of([tmp_path / "package"]))
    assert len(digests) == 6
    (deep / "notes.txt").write_text("")
    assert digest_of([tmp_path / "package"]) in digests
    assert digest_of(PACKAGES) == SOURCES


def test_kernels_are_kept_by_the_sources_or_they_would_outlive_a_change() -> None:
    for kernel in (mapper._search_all, layer_prices._price_all):
        assert kernel.py_func.__qualname__.endswith(SOURCES)
