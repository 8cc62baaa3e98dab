import ast
import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

from bitstreams import board_runner
from bitstreams.board_runner import pack

SUPPORT = Path(__file__).parents[1] / "support/fake_board"
ROOT = Path(__file__).parents[2]


def unpack(stream: io.BytesIO) -> list[tuple[dict[str, object], bytes]]:
    answers = []
    while lengths := stream.read(8):
        header_bytes, payload_bytes = struct.unpack(">II", lengths)
        answers.append((json.loads(stream.read(header_bytes)), stream.read(payload_bytes)))
    return answers


def converse(project: Path, *messages: bytes, **variables: str) -> list[tuple[dict[str, object], bytes]]:
    """What the runner answers to messages, in a process of its own as on a board."""
    environment = {**os.environ, "PYTHONPATH": f"{SUPPORT}:{ROOT}", "CODESIGN_TWIN": str(project), **variables}
    done = subprocess.run(
        [sys.executable, board_runner.__file__], input=b"".join(messages), env=environment,
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    return unpack(io.BytesIO(done.stdout))


def test_it_needs_nothing_but_what_a_board_has() -> None:
    tree = ast.parse(Path(board_runner.__file__).read_text(), feature_version=(3, 8))
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module])
    }
    assert imported - set(sys.stdlib_module_names) == {"pynq"}


def test_each_request_is_answered_in_order_and_errors_are_answers(zynq_project: Path) -> None:
    first, second, third, fourth = converse(
        zynq_project,
        pack(["hello", []]),
        pack(["read", [0x43C00000]]),
        pack(["exec", ["anything"]]),
        pack(["read_file", ["/proc/device-tree/chosen/pynq_board"]]),
    )
    assert first[0]["value"] == {"own_name": "Pynq-Z2", "architecture": "armv7l", "pynq": "3.0.1"}
    assert second[0] == {"error": "BoardError: 0x43C00000: nothing answers there; a board would hang"}
    assert third[0] == {"error": "ValueError: unknown method exec"}
    assert fourth == ({"value": True}, b"Pynq-Z2\0")


def test_buffers_are_written_and_read_in_parts(zynq_project: Path) -> None:
    address = 0x10000000
    answers = converse(
        zynq_project,
        pack(["allocate", [1000]]),
        pack(["write_buffer", [address, 100]], b"part"),
        pack(["read_buffer", [address, 99, 6]]),
        pack(["free", [address]]),
        pack(["read_buffer", [address, 0, 1]]),
    )
    assert answers[0][0]["value"] == address
    assert answers[2] == ({"value": True}, b"\0part\0")
    assert answers[4][0] == {"error": f"KeyError: {address}"}


def test_a_board_is_claimed_by_its_owner_until_the_runner_ends(zynq_project: Path, tmp_path: Path) -> None:
    claims = [pack(["claim", ["me"]]), pack(["claim", ["me"]]), pack(["close", []]), pack(["claim", ["you"]])]
    first, twice, _, after = (answer for answer, _ in converse(zynq_project, *claims, TMPDIR=str(tmp_path)))
    assert first == {"value": None}
    assert str(twice["error"]).startswith("in use by me; wait for it, stop it, or end process ")
    assert after == {"value": None}
    assert json.loads((tmp_path / board_runner.LOCK).read_text())[0] == "you"


def test_a_lock_file_that_is_a_link_is_not_followed(zynq_project: Path, tmp_path: Path) -> None:
    (tmp_path / board_runner.LOCK).symlink_to(tmp_path / "precious")
    ((answer, _),) = converse(zynq_project, pack(["claim", ["me"]]), TMPDIR=str(tmp_path))
    assert "Too many levels of symbolic links" in str(answer["error"])
    assert not (tmp_path / "precious").exists()


def test_a_board_without_a_name_in_its_device_tree_is_called_as_its_environment_says(zynq_project: Path) -> None:
    (answer,) = converse(zynq_project, pack(["hello", []]), BOARD="KV260", CODESIGN_TWIN_UNNAMED="1")
    assert answer[0]["value"] == {"own_name": "KV260", "architecture": "armv7l", "pynq": "3.0.1"}
