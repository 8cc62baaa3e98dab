"""The environment that `make` sets up: every package that is asked for can be used, by a user too."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required() -> set[str]:
    """Names of the packages that the project and its extras ask for."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return {normalised(re.match(r"[\w.-]+", line)[0]) for group in groups for line in group}


def test_every_package_that_is_asked_for_can_be_imported() -> None:
    asked = required()
    modules = {
        module
        for module, owners in packages_distributions().items()
        if module.isidentifier() and module != "tests" and asked & {normalised(owner) for owner in owners}
    }
    assert {"torch", "datasets"} <= modules
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        importlib.import_module(name)\n"
        "    except BaseException as error:\n        print(f'{name}: {error!r}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *sorted(modules)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
