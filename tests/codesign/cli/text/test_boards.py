from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

from codesign.cli.main import app
from hw_templates.board import board_names, load_board


def shown(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["boards", *arguments])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_boards_are_listed_in_aligned_columns() -> None:
    lines = shown().splitlines()
    assert lines[0] == "board       title              DSP  BRAM18  URAM     LUT  MHz      DDR GB/s"
    assert lines[2] == "pynq-z2     TUL PYNQ-Z2        220     280     0   53200  150    1.6 of 2.1"
    assert len({len(line) for line in lines}) == 1


def test_a_shown_board_is_the_file_that_describes_it(tmp_path: Path) -> None:
    path = tmp_path / "my-board.toml"
    for name in board_names():
        path.write_text(shown("show", name))
        assert load_board(path) == replace(load_board(name), name="my-board")
    assert shown("show", str(path)) == path.read_text()
