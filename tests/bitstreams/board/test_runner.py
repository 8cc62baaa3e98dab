import ast
import fcntl
import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path

from bitstreams.board import runner as board_runner
from bitstreams.board.runner import pack

SUPPORT = Path(__file__).parents[2] / "lib/support/boards/fake_board"
ROOT = Path(__file__).parents[3]


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
    assert first[0]["value"] == {"own_name": "Pynq-Z2", "architecture": "armv7l"}
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


def test_a_pipe_in_the_place_of_the_lock_file_is_refused(zynq_project: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / board_runner.LOCK)
    ((answer, _),) = converse(zynq_project, pack(["claim", ["me"]]), TMPDIR=str(tmp_path))
    assert answer == {"error": f"{tmp_path / board_runner.LOCK}: is no regular file of this user; remove it"}


def test_a_lock_that_does_not_say_whose_it_is_is_not_waited_for_for_ever(zynq_project: Path, tmp_path: Path) -> None:
    with (tmp_path / board_runner.LOCK).open("w") as file:
        file.write("7")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        ((answer, _),) = converse(zynq_project, pack(["claim", ["me"]]), TMPDIR=str(tmp_path))
    assert str(answer["error"]).startswith("in use by an unknown owner; ")


def test_what_lies_outside_of_a_buffer_is_neither_written_nor_read(zynq_project: Path) -> None:
    address = 0x10000000
    answers = converse(
        zynq_project,
        pack(["allocate", [1000]]),
        pack(["write_buffer", [address, 998]], b"part"),
        pack(["write_buffer", [address, -2]], b"part"),
        pack(["read_buffer", [address, 990, 11]]),
        pack(["read_buffer", [address, -1, 1]]),
        pack(["read_buffer", [address, 990, 10]]),
    )
    for answer, _ in answers[1:5]:
        assert "lie outside of the buffer's 1000" in str(answer["error"])
    assert answers[5] == ({"value": True}, bytes(10))


def test_a_table_that_leads_outside_of_allocated_memory_is_refused(zynq_project: Path) -> None:
    address, words = 0x10000000, (0, 3, 124, -1)
    table = b"".join(struct.pack("<ii", 0, word) for word in words)

    def check(layers: list[list[list[int]]], start: int = address) -> bytes:
        accesses = [[8 * number + 4 * field, words] for number, layer in enumerate(layers) for field, words in layer]
        return pack(["check_places", [start, 8 * len(layers), address, 8, accesses]])

    answers = converse(
        zynq_project,
        pack(["allocate", [1000]]),
        pack(["write_buffer", [address, 0]], table),
        check([[], [[1, 122]], [[1, 1], [0, 125]]]),
        check([[], [], [[1, 2]]]),
        check([[], [], [], [[1, 1]]]),
        check([[]] * 4, address + 1000),
    )
    assert answers[2][0] == {"value": None}
    for (answer, _), place in zip(answers[3:], (124 * 8, -8, 1000), strict=True):
        assert f"0x{address + place:08X}: " in str(answer["error"])
        assert "in no allocated buffer" in str(answer["error"])


def test_a_board_without_a_name_in_its_device_tree_is_called_as_its_environment_says(zynq_project: Path) -> None:
    (answer,) = converse(zynq_project, pack(["hello", []]), BOARD="KV260", CODESIGN_TWIN_UNNAMED="1")
    assert answer[0]["value"] == {"own_name": "KV260", "architecture": "armv7l"}
