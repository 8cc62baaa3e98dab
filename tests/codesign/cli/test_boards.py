from pathlib import Path

from typer.testing import CliRunner

from codesign.cli.main import app


def test_errors_of_boards_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    for arguments, message in (
        (
            ["deploy", str(tmp_path), "--board", "pynq-z9"],
            "ultra96-v2, zcu104, or a TOML file by its path, got 'pynq-z9'; did you mean 'pynq-z2'?",
        ),
        (
            ["deploy", str(tmp_path), "--board", "pynq-z2", "--via", "telnet"],
            "codesign: --via: must be one of ssh, remote, local, twin, got 'telnet'",
        ),
        (["deploy", str(tmp_path), "--board", "pynq-z2", "--via", "twin"], "is missing; run `codesign emit "),
        (["twin", "--project", str(tmp_path)], "project.json: is missing; run `codesign emit` first"),
    ):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 2
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
