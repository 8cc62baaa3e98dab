"""The recipes of CONTRIBUTING.md: each is applied to a copy of the project as a small patch, and its test is run there.

A recipe is a TOML file in ``tests/recipes/``. Its changes are new files, and lines of existing files that are found by
a text of their own and written anew, so that they still apply where the rest of a file has changed.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from hw_templates.foundation.json_records import check_record

ROOT = Path(__file__).parent.parent
COPIED = ("codesign", "bitstreams", "cost_models", "hw_templates", "tests", "pyproject.toml")


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is written into one file: the whole ``text``, or in place of what ``find`` names."""

    path: str
    text: str
    find: str = ""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A patch, the test of it, and the files that it may touch, not counting those whose names end as in ``apart``."""

    limit: int
    test: str
    changes: tuple[Change, ...]
    apart: tuple[str, ...] = ()


RECIPES = {
    path.stem: check_record(tomllib.loads(path.read_text()), Recipe, path.stem)
    for path in sorted((ROOT / "tests/recipes").glob("*.toml"))
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the machine code of prices that lies beside its modules."""
    folder = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name)
        else:
            shutil.copy2(ROOT / name, folder / name)
    return folder


def apply(recipe: Recipe, folder: Path) -> None:
    """Write a recipe's changes into a copy of the project."""
    for change in recipe.changes:
        path = folder / change.path
        if not change.find:
            assert not path.exists(), f"{change.path} exists"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(change.text)
            continue
        text = path.read_text()
        assert change.find in text, f"{change.path}: holds no {change.find!r}"
        path.write_text(text.replace(change.find, change.text))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_touches_few_files_and_passes_its_test(name: str, copy: Path) -> None:
    recipe = RECIPES[name]
    touched = {change.path for change in recipe.changes}
    assert len([path for path in touched if not path.endswith(recipe.apart)]) <= recipe.limit
    kept = {path: (copy / path).read_bytes() for path in touched if (copy / path).exists()}
    apply(recipe, copy)
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", recipe.test]
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        for path in touched:
            if path in kept:
                (copy / path).write_bytes(kept[path])
            else:
                (copy / path).unlink()


def test_the_recipes_are_those_of_the_goals() -> None:
    assert {name: recipe.limit for name, recipe in RECIPES.items()} == {
        "board": 1,
        "operation": 10,
        "parameter": 6,
        "supernet": 2,
    }
