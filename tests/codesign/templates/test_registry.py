"""A third template is one package that nothing else names, and one that is not sound is refused in one line."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from codesign.cli.main import app
from codesign.run.folder import Run
from codesign.templates.registry import load_template, template_names
from hw_templates.foundation.errors import StorageError, UnknownNameError

TOY = Path(__file__).parents[2] / "fixtures" / "toy_template" / "toy_template.py"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install the toy as a distribution with these entry points."""

    def installed(*entries: str) -> None:
        site = tmp_path / "site"
        metadata = site / "toy_template-1.0.dist-info"
        metadata.mkdir(parents=True)
        shutil.copy(TOY, site)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-template\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("\n".join(["[codesign.templates]", *entries]) + "\n")
        monkeypatch.syspath_prepend(site)

    return installed


def codesign(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, (done.stderr, done.exception)
    return done.stdout


def test_every_command_works_with_a_template_of_another_package(install, finished_run: Run, tmp_path: Path) -> None:
    install("toy = toy_template:ToyTemplate")
    assert template_names() == ("engine", "hls4ml", "toy")
    run = Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))
    folder, toy = str(run.folder), ("--template", "toy")
    before = {path: path.read_bytes() for path in (run.fronts, run.emitted, run.measured_front)}
    assert "with template toy" in codesign("search", folder, "--pairs", "500", *toy)
    assert " multipliers, " in codesign("winner", folder, *toy)
    assert " multipliers, " in codesign("emit", folder, *toy)
    assert "bit for bit" in codesign("csim", folder, "--images", "20", *toy)
    assert "index.html" in codesign("report", folder, *toy)
    results = run.of_template("toy")
    assert "#define COUNT " in (results.project / "accelerator.h").read_text()
    assert json.loads(results.winner.read_text())["accelerator"].keys() == {"count", "clock_mhz"}
    assert "<h2>The toy</h2>" in (results.report / "index.html").read_text()
    # The board has 220 DSP slices.
    emitted = json.loads(results.emitted.read_text())
    assert emitted["winner"]["accelerator"]["count"] in (8, 32, 128)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("entry", "name", "reason"),
    [
        ("toy = toy_template:Missing", "toy", r"cannot be loaded \(AttributeError: .*\); repair or uninstall"),
        ("toy = no_such_module:Toy", "toy", r"cannot be loaded \(ModuleNotFoundError: .*\); repair or uninstall"),
        ("toy = toy_template:INCOMPLETE", "toy", r"lacks accelerator, checks, datasheet, .* of codesign\.templates"),
        ("toy = toy_template:Other", "toy", r"leads to a template called 'other'; repair or uninstall"),
        ("toy = codesign.templates.template:Template", "toy", r"lacks accelerator, name of codesign\.templates"),
        ("engine = toy_template:ToyTemplate", "engine", r"takes a name that another template has; rename it or"),
        ("report = toy_template:ToyTemplate", "report", r"takes a name that another template has; rename it or"),
    ],
)
def test_an_entry_point_that_is_not_sound_is_named_with_what_to_do(install, entry: str, name: str, reason) -> None:
    install(entry)
    with pytest.raises(
        StorageError, match=rf"^entry point {name} of codesign\.templates, package toy-template: {reason}"
    ):
        load_template(name)


def test_an_unknown_name_is_answered_with_the_known_ones(install) -> None:
    install("toy = toy_template:ToyTemplate")
    with pytest.raises(
        UnknownNameError, match=r"template: must be one of engine, hls4ml, toy, got 'tyo'; did you mean"
    ):
        load_template("tyo")


def test_a_template_is_taken_as_it_is() -> None:
    template = load_template("engine")
    assert load_template(template) is template
