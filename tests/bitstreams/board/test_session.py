import os
import subprocess
import sys
from pathlib import Path

import pytest

from bitstreams.board.session import LocalSession
from hw_templates.foundation.errors import BoardError

SUPPORT = Path(__file__).parents[2] / "lib/support/boards/fake_board"
ROOT = Path(__file__).parents[3]
SCRIPT = """
import json
import sys
from pathlib import Path
from bitstreams.board.driver import Engine
from bitstreams.board.hardware import Hardware
from bitstreams.board.session import LocalSession
from bitstreams.twin.bitstream import write_twin_bitstream
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.board import load_board
from hw_templates.conv_engine.program import read_program
project, folder = map(Path, sys.argv[1:])
digest, board = (project / "hardware.sha256").read_text().strip(), load_board("pynq-z2")
accelerator = Accelerator(**json.loads((project / "project.json").read_text())["accelerator"])
session = LocalSession()
hardware = Hardware(board, digest, accelerator, Implementation.HLS)
engine = Engine(session, hardware, write_twin_bitstream(folder, board, digest, 100))
program = read_program(project)
engine.load_program(program)
images = (project / "program/images.bin").read_bytes()
size = program.image_words * program.axi_bytes
logits = engine.run(images[start : start + size] for start in range(0, len(images), size))
print(session.via, b"".join(logits) == (project / "program/golden.bin").read_bytes())
engine.close()
session.close()
"""


def test_a_program_runs_bit_exactly_on_the_board_itself(zynq_project: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ, "PYTHONPATH": f"{SUPPORT}:{ROOT}", "CODESIGN_TWIN": str(zynq_project), "TMPDIR": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(zynq_project), str(tmp_path)], env=environment,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == "local True\n", done.stderr


def test_a_machine_without_pynq_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(BoardError, match=r"pynq: cannot be imported .* run this on the board"):
        LocalSession()
