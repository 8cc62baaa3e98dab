"""The wheel alone, with nothing but the packages that it requires without extras: a light core that prices layers."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hw_templates.foundation.extras import EXTRAS
from hw_templates.foundation.lock import exclusive

ROOT = Path(__file__).parent.parent
CONTENT = ("pyproject.toml", "README.md", "LICENSE", "bitstreams", "codesign", "cost_models", "hw_templates")
PRICE_A_LAYER = """
import codesign

layer = codesign.Layer(operation=codesign.Operation.CONV, in_channels=16, out_channels=32, in_height=4, in_width=4)
workload = codesign.Workload((codesign.Node(name="layer", layer=layer, ifmap="image"),))
accelerator = codesign.Accelerator(
    pe_rows=8, pe_cols=8, pe_pixels=2, pack=1, ifmap_kib=2, weight_kib=2, ofmap_kib=2, axi_bits=64, clock_mhz=100,
)
print(codesign.price(workload, accelerator, codesign.load_board("pynq-z2")).latency_ms)
try:
    codesign.train("runs/none")
except codesign.ToolError as error:
    print(error)
"""


def closure(requirements: list[str], extra: str = "") -> dict[str, importlib.metadata.Distribution]:
    """Return the installed distributions that ``requirements`` bring, by name."""
    found: dict[str, importlib.metadata.Distribution] = {}
    for line in requirements:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            distribution = importlib.metadata.distribution(requirement.name)
            for wanted in ("", *requirement.extras):
                found |= {requirement.name: distribution, **closure(distribution.requires or [], wanted)}
    return found


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content and links to the packages that it requires, and nothing else.

    It is kept: numba finds the machine code of an earlier run by the path of the module and its time of change.
    """
    source, wheels, installed = (
        tmp_path_factory.mktemp("source"),
        tmp_path_factory.mktemp("wheels"),
        ROOT / "build/core",
    )
    for name in CONTENT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-build-isolation", "--no-deps"]
    done = subprocess.run([*pip, "--wheel-dir", str(wheels), str(source)], capture_output=True, text=True)
    if done.returncode and "No module named" in done.stderr:
        pytest.skip(f"no wheel can be built here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    (wheel,) = wheels.glob("*.whl")
    installed.mkdir(parents=True, exist_ok=True)
    with exclusive(installed.with_suffix(".lock")):
        unpack(wheel, installed)
    return installed


def unpack(wheel: Path, folder: Path) -> None:
    """Make ``folder`` hold what ``wheel`` does, its requirements as links, and the machine code of an earlier run.

    What is right already is left alone, as another process may run from there.
    """
    with zipfile.ZipFile(wheel) as archive:
        content = {folder / name: archive.read(name) for name in archive.namelist()}
    for path, data in content.items():
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    (metadata,) = (importlib.metadata.PathDistribution(path.parent) for path in content if path.name == "METADATA")
    links = {
        folder / top: Path(str(distribution.locate_file(top)))
        for distribution in closure(list(metadata.requires or [])).values()
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
    }
    for path in folder.rglob("*"):
        wanted = links.get(path) == path.readlink() if path.is_symlink() else path in content or path.is_dir()
        if not wanted and path.parent.name != "__pycache__":
            path.unlink()
    for path, target in links.items():
        if not path.exists():
            path.symlink_to(target)


def run(core: Path, code: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run code with no other packages than those in ``core``."""
    start = f"import sys; sys.path.append({str(core)!r}); sys.argv[1:] = {list(args)}\n"
    return subprocess.run([sys.executable, "-I", "-S", "-c", start + code], capture_output=True, text=True, cwd=core)


def test_the_core_prices_a_layer(core: Path) -> None:
    done = run(core, PRICE_A_LAYER)
    assert done.returncode == 0, done.stderr
    latency_ms, missing = done.stdout.splitlines()
    assert 0 < float(latency_ms) < 1
    assert re.match(r"\w+: is not installed; it comes with the extra 'train': run ", missing)


def test_the_core_holds_nothing_that_only_an_extra_brings(core: Path) -> None:
    assert (core / "numba").exists()
    assert not [name for modules in EXTRAS.values() for name in modules if (core / name).exists()]


def test_every_module_that_calibrates_starts_in_the_core(core: Path) -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for pattern in ("cost_models/calibration/**/*.py", "cost_models/measurements/**/*.py", "codesign/cli/*.py")
        for path in ROOT.glob(pattern)
    ]
    done = run(
        core,
        "import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)",
        *modules,
        "codesign.api.calibration",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["boards", "calibrate --help", "--version"])
def test_the_core_runs_a_command(core: Path, command: str) -> None:
    done = run(core, "from codesign.cli.main import main\nmain()", *command.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize("command", ["train", "predictor", "search", "emit", "report"])
def test_a_command_that_needs_an_extra_says_so_in_one_line(core: Path, command: str) -> None:
    done = run(core, "from codesign.cli.main import main\nmain()", command, "runs/none")
    (line,) = done.stderr.splitlines()
    assert re.match(
        r"codesign: \w+: is not installed; it comes with the extra 'train': run `.*pip install .*torch", line
    )
    assert done.returncode == 2
