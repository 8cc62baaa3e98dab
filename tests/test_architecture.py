"""The house: imports only go down, without cycles, and nothing heavy is imported before it is needed."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import networkx as nx
import pytest
from setuptools import find_packages

ROOT = Path(__file__).parent.parent
FLOORS = {"hw_templates": 0, "cost_models": 1, "bitstreams": 2, "codesign": 3}
INNER_FLOORS: dict[str, list[tuple[str, ...]]] = {
    "hw_templates": [("foundation",), ("board",), ("conv_engine", "hls4ml"), ("project",)],
    "cost_models": [
        ("workload",),
        ("mapping", "engine.layer", "coefficients", "hls_operators"),
        ("closed_form", "engine", "resources", "simulator"),
        ("hls4ml",),
        ("measurements",),
        ("calibration",),
        ("measurements.importers",),
    ],
    "bitstreams": [("hls_checks",), ("building",), ("store",), ("board", "twin")],
    "codesign": [("supernet",), ("search",), ("run",), ("commands",), ("cli",)],
}
"""The floors within each package, lowest first; modules that are not named may be imported from all of them."""
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in FLOORS
    for path in (ROOT / package).rglob("*.py")
}


def imported_modules(path: Path) -> set[str]:
    """Modules of this project that a file imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names & MODULES.keys()


def test_imports_go_down_the_house() -> None:
    upwards = [
        f"{module} imports {target}"
        for module, path in MODULES.items()
        for target in imported_modules(path)
        if FLOORS[target.split(".")[0]] > FLOORS[module.split(".")[0]]
    ]
    assert upwards == []


def inner_floor(module: str) -> int | None:
    """The floor of a module within its package: that of the longest name it lies under."""
    package, _, name = module.partition(".")
    floors = {entry: floor for floor, entries in enumerate(INNER_FLOORS[package]) for entry in entries}
    over = [entry for entry in floors if f"{name}.".startswith(f"{entry}.")]
    return floors[max(over, key=len)] if over else None


def test_imports_go_down_within_each_package() -> None:
    upwards = []
    for module, path in MODULES.items():
        floor = inner_floor(module)
        for target in imported_modules(path) if floor is not None else ():
            below = inner_floor(target) if target.split(".")[0] == module.split(".")[0] else None
            if below is not None and below > floor:
                upwards.append(f"{module} imports {target}")
    assert upwards == []


def test_every_floor_is_there() -> None:
    named = {
        f"{package}.{entry}" for package, floors in INNER_FLOORS.items() for entries in floors for entry in entries
    }
    assert named <= MODULES.keys()


def test_the_cost_model_imports_nothing_of_measuring() -> None:
    def measures(module: str) -> bool:
        return module.startswith(("cost_models.measurements", "cost_models.calibration"))

    graph = nx.DiGraph((module, target) for module, path in MODULES.items() for target in imported_modules(path))
    for entry in ("workload", "mapping", "coefficients", "closed_form", "engine", "resources", "simulator", "hls4ml"):
        for module in [name for name in graph if f"{name}.".startswith(f"cost_models.{entry}.")]:
            assert not list(filter(measures, nx.descendants(graph, module))), module


def test_imports_have_no_cycle() -> None:
    edges = [(module, target) for module, path in MODULES.items() for target in imported_modules(path)]
    graph = nx.DiGraph(edge for edge in edges if edge[0] != edge[1])
    assert graph.number_of_edges() > len(MODULES) / 2
    assert list(nx.simple_cycles(graph)) == []


def test_values_of_more_than_four_fields_are_made_by_name() -> None:
    positional = [
        f"{module}.{node.name}"
        for module, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for decorator in map(ast.unparse, node.decorator_list)
        if decorator.startswith("dataclass(") and "kw_only" not in decorator
        if sum(isinstance(part, ast.AnnAssign) and "ClassVar" not in ast.unparse(part) for part in node.body) > 4
    ]
    # A row of a table.
    assert positional == ["cost_models.calibration.timing_model.Parameter"]


def test_no_function_has_more_than_eight_parameters() -> None:
    def parameters(function: ast.FunctionDef) -> list[str]:
        arguments = function.args
        names = [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        return [name for name in names if name not in ("self", "cls")]

    many = [
        f"{module}.{node.name}"
        for module, path in MODULES.items()
        if not module.startswith("codesign.cli.")  # typer makes an option of each
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and len(parameters(node)) > 8
    ]
    assert many == []


def test_every_folder_of_modules_is_a_package_that_is_installed() -> None:
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in MODULES.values()}
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert set(find_packages(str(ROOT), include=found["include"])) == folders


def test_nothing_on_the_path_of_tests_hides_a_package() -> None:
    path = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["pythonpath"]
    found = {entry.name for folder in path for entry in (ROOT / folder).iterdir()}
    assert "support" in found
    assert not found & FLOORS.keys()


@pytest.mark.parametrize("entry", ["codesign.cli.main", "cost_models.closed_form.estimate"])
def test_heavy_packages_are_not_imported_at_start(entry: str) -> None:
    heavy = "{'torch', 'optuna', 'sklearn', 'matplotlib', 'hls4ml', 'pynq'}"
    code = f"import sys, {entry}; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
