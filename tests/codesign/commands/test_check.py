"""``codesign check``: what is found, what is kept, and what stops it."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.hls.tools import need_compiler
from support.json_file import read_json
from support.verilog.simulated import need_verilator
from typer.testing import CliRunner

from bitstreams.building import toolchain
from bitstreams.hls_checks import engine
from bitstreams.hls_checks.checks import Limits, LoopLimits
from codesign.cli.main import app
from codesign.cli.text.run import check_lines
from codesign.commands.check import check
from codesign.commands.report import report
from codesign.progress import Silent
from codesign.run.folder import Run
from codesign.run.records import Outcome
from codesign.templates.engine import checks
from codesign.templates.engine.template import EngineTemplate
from codesign.templates.template import Check, Finding
from cost_models.engine.blocks import array_slices, engine_blocks
from hw_templates.board import Board, load_board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.engine_shape import EngineShape
from hw_templates.foundation.errors import MissingToolError, StorageError, ToolError, VerificationError


@pytest.fixture
def run(finished_run: Run, tmp_path: Path) -> Run:
    """A copy of the finished run, to check."""
    return Run(Path(shutil.copytree(finished_run.folder, tmp_path / "run")))


def derived(accelerator: Accelerator, board: Board) -> tuple[int, int, int]:
    """Return the DSP slices and block memories that yosys must find on a 7-series device."""
    shape = EngineShape(accelerator=accelerator, family=board.family)
    blocks = engine_blocks(shape)
    twice = accelerator.pack == 2 and board.family != "zynq-7000"
    return blocks.dsp + (array_slices(shape) if twice else 0), blocks.ramb18, blocks.ramb36


@pytest.fixture
def accelerator(run: Run) -> Accelerator:
    """The engine of the run."""
    return Accelerator(**read_json(run.project / "project.json")["accelerator"])


def only(monkeypatch: pytest.MonkeyPatch, *made: Check) -> None:
    """Let the engine have these checks alone."""

    def of_template(*_: object) -> Sequence[Check]:
        return made

    monkeypatch.setattr(EngineTemplate, "checks", of_template)


def finds(found: Finding | Exception, calls: list[int]) -> Callable[..., Finding]:
    """Return what a check does: it finds this, or raises it, and is counted."""

    def find(_: object) -> Finding:
        calls.append(1)
        if isinstance(found, Exception):
            raise found
        return found

    return find


def test_an_emitted_engine_passes_all_checks(
    run: Run, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_verilator()
    need_compiler()
    counted = derived(accelerator, load_board("pynq-z2"))  # tests of their own map whole engines
    monkeypatch.setattr(checks, "count_blocks", lambda _: counted)
    monkeypatch.setattr(checks, "yosys_version", lambda: checks.TRIED_YOSYS)
    result = check(run, Silent())
    result.require()
    names = ["board", "C++", "Verilog", "cycles", "yosys", "what an HLS tool will see"]
    assert [each.name for each in result.checks] == names
    assert {each.outcome for each in result.checks} == {Outcome.PASSED}
    board, cpp, verilog, cycles, yosys, view = result.checks
    project = read_json(run.project / "project.json")
    assert board.text.startswith(f"{load_board('pynq-z2').title}: ")
    assert cpp.figures["images"] == verilog.figures["images"] == project["images"] == 359
    assert "359 test images bit-exact" in cpp.text
    assert cycles.figures["simulated_cycles"] == verilog.figures["cycles"]
    assert cycles.figures["stated_cycles"] == pytest.approx(verilog.figures["cycles"], rel=0.03)
    assert yosys.figures["dsp"] == counted[0]
    assert list(check_lines(result))[1].startswith("           C++: 359 test images bit-exact")
    page = report(run, Silent()).page.read_text()
    assert "What was checked, and how" in page
    assert '<table class="prose">' in page
    assert f"{counted[0]} DSP slices ({counted[0]} derived)" in page
    assert re.fullmatch(
        r"\d+ pipelined loops: all rules hold; the longest recurrence takes \d\.\d\d of .* ns", view.text
    )
    assert len(view.table) == view.figures["loops"] + 1
    assert round(view.figures["longest_recurrence_ns"], 2) == max(float(row[2]) for row in view.table[1:])
    assert "What an HLS tool will see" in page
    assert all(row[0] in page for row in view.table)


def test_a_rule_of_hls_that_is_broken_fails(accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch) -> None:
    need_compiler()
    monkeypatch.setattr(engine, "engine_limits", lambda shape: Limits(LoopLimits(counter_bits=1)))
    finding = checks._view(accelerator, load_board("pynq-z2"))
    assert not finding.passed
    assert re.search(
        r"loops: \d+ found, the first: compute:iterations .* multiplications by a variable in place of 0", finding.text
    )


def test_counts_of_another_yosys_that_differ_are_no_failure(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "yosys_version", lambda: "Yosys 0.40")
    counted = derived(accelerator, load_board("pynq-z2"))
    monkeypatch.setattr(checks, "count_blocks", lambda _: counted)
    assert checks._count(accelerator, load_board("pynq-z2")).passed
    monkeypatch.setattr(checks, "count_blocks", lambda _: (1, 2, 3))
    with pytest.raises(MissingToolError, match=r"^Yosys 0\.40 counts \(1, 2, 3\) DSP .* tried with Yosys 0\.23 alone"):
        checks._count(accelerator, load_board("pynq-z2"))


@pytest.mark.parametrize("board", ["pynq-z2", "zcu104"])
@pytest.mark.parametrize("pack", [1, 2])
def test_blocks_that_are_not_as_derived_fail(
    accelerator: Accelerator, board: str, pack: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, on = replace(accelerator, pack=pack), load_board(board)
    slices, *memories = derived(engine, on)
    monkeypatch.setattr(checks, "yosys_version", lambda: checks.TRIED_YOSYS)
    for found, passes in ((slices, True), (slices + 1, False)):
        monkeypatch.setattr(checks, "count_blocks", lambda _, found=found: (found, *memories))
        finding = checks._count(engine, on)
        assert finding.passed == passes
        assert f"{found:,} DSP slices ({slices:,} derived)" in finding.text


def test_what_passed_is_kept_until_the_project_changes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    passing, failing, missing = list[int](), list[int](), list[int]()
    only(
        monkeypatch,
        Check("first", "so", finds(Finding(True, "good", {"things": 3}), passing)),
        Check("second", "so", finds(VerificationError("two of three differ"), failing)),
        Check("third", "so", finds(MissingToolError("clang: not found on the PATH"), missing)),
        Check("fourth", "so", finds(ToolError("make failed"), [])),
    )
    result = check(run, Silent())
    assert [each.outcome for each in result.checks] == ["passed", "failed", "not checked", "failed"]
    assert result.checks[0].figures == {"things": 3}
    with pytest.raises(VerificationError, match=r"check\.json: 2 of 4 checks failed: second: two of three differ$"):
        result.require()
    check(run, Silent())
    assert (len(passing), len(failing), len(missing)) == (1, 2, 2)
    record = run.project / "project.json"
    record.write_text(record.read_text() + "\n")
    check(run, Silent())
    assert len(passing) == 2


def test_an_interruption_loses_only_the_check_that_runs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[int]()

    def interrupt(_: object) -> Finding:
        raise KeyboardInterrupt

    only(
        monkeypatch,
        Check("first", "so", finds(Finding(True, "good"), calls)),
        Check("second", "so", interrupt),
    )
    with pytest.raises(KeyboardInterrupt):
        check(run, Silent())
    assert [each["name"] for each in read_json(run.checks)["checks"]] == ["first"]
    with pytest.raises(KeyboardInterrupt):
        check(run, Silent())
    assert len(calls) == 1


def test_a_missing_tool_is_no_pass(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain.shutil, "which", lambda _: None)
    result = check(run, Silent())
    result.require()
    outcomes = {each.name: each.outcome for each in result.checks}
    others = ("C++", "Verilog", "cycles", "yosys", "what an HLS tool will see")
    assert outcomes == {"board": "passed", **dict.fromkeys(others, "not checked")}
    assert result.checks[-1].text == "clang 14 is needed, no clang on the PATH (Debian: apt-get install clang-14)"
    assert list(check_lines(result))[1] == (
        "           C++: not checked: make: not found on the PATH; install it (Debian: apt-get install make)"
    )


@pytest.mark.parametrize("path", ["hls/engine_config.h", "rtl/engine_config.vh"])
def test_a_project_that_was_edited_by_hand_is_refused(run: Run, path: str) -> None:
    file = run.project / path
    text = file.read_text()
    file.write_text(text + "// mine\n")
    with pytest.raises(StorageError, match=rf"{path}: was changed after the project was emitted, or emitted by anoth"):
        check(run, Silent())
    file.unlink()
    with pytest.raises(StorageError, match=rf"is no whole project \(.*{path}'\); emit it again"):
        check(run, Silent())
    file.write_text(text)
    shutil.rmtree(run.project / "program")
    with pytest.raises(StorageError, match="is no whole project"):
        check(run, Silent())
    assert not run.checks.exists()


def test_the_command_fails_where_a_check_does(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, Check("first", "so", finds(Finding(False, "3 of 4"), [])))
    result = CliRunner().invoke(app, ["check", str(run.folder)])
    assert result.exit_code == 1
    assert "check      first: failed: 3 of 4" in result.output
    assert "1 of 1 checks failed: first: 3 of 4" in result.output
