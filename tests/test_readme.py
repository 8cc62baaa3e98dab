"""The README's example runs and prints what an engineer would expect."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_python_example_emits_a_verified_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    lines = block.splitlines()
    assert lines[0] == "import codesign"
    assert len(lines) <= 15
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    *front, last = capsys.readouterr().out.splitlines()
    assert len(front) == 3
    assert all(re.fullmatch(r"\d+\.\d% in \d+\.\d{4} ms", line) for line in front)
    assert last == "359 images, bit for bit: runs/first/project"
    assert (tmp_path / "runs/first/project/Makefile").exists()


def test_every_file_and_command_that_the_readme_names_is_there() -> None:
    root = Path(__file__).parent.parent
    for path in re.findall(r"`((?:benchmarks|examples|hw_templates|cost_models|docs)/[\w./]*)`", README):
        assert (root / path).exists(), path
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (root / picture).exists(), picture
