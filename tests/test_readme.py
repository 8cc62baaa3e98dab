"""The README's example runs and prints what an engineer would expect."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    exec(compile(blocks[0], "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d\.\d{3} ms, \d\.\d{3} mJ", lines[0])
    assert [line.split()[0] for line in lines[1:]] == [
        "stem",
        "stage1.block1.expand",
        "stage1.block1.depthwise",
        "stage1.block1.project",
    ]


def test_every_file_and_command_that_the_readme_names_is_there() -> None:
    root = Path(__file__).parent.parent
    for path in re.findall(r"`((?:benchmarks|examples|hw_templates|cost_models|docs)/[\w./]*)`", README):
        assert (root / path).exists(), path
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (root / picture).exists(), picture
