import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.boards.twins import bitstream, connected, hardware, served, zynq_project
from support.recorded_progress import RecordedProgress

from bitstreams.access import bitstream_for, claimed
from bitstreams.board.target import parse_target
from bitstreams.store.store import Store
from hw_templates.foundation.errors import InvalidValueError, StorageError
from hw_templates.foundation.lock import board_claim

__all__ = ["zynq_project"]


@pytest.mark.parametrize(
    ("board", "via", "claim"),
    [
        ("pynq-z2@10.0.0.2", "ssh", "10.0.0.2"),
        ("pynq-z2@xilinx@10.0.0.2:2222", "ssh", "10.0.0.2"),
        ("pynq-z2@10.0.0.2", "remote", "10.0.0.2"),
        ("pynq-z2@127.0.0.1:7968", "remote", "127.0.0.1:7968"),
        ("pynq-z2@localhost", "ssh", "localhost:ssh"),
        ("pynq-z2", "local", "this machine"),
    ],
)
def test_a_board_is_claimed_however_it_is_targeted(
    board: str, via: str, claim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    target = parse_target(board, via, insecure_remote=False)
    with claimed(target, tmp_path, RecordedProgress().stage("twin")) as place:
        assert place == target
        with pytest.raises(StorageError, match=f"the board at {claim} is in use"), board_claim(claim):
            pass
        other = parse_target("pynq-z2@10.0.0.3", "ssh", insecure_remote=False)
        with claimed(other, tmp_path, RecordedProgress().stage("twin")):
            pass


def test_what_is_no_way_to_a_board_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="via: must be one of ssh, remote, local, twin, got 'telnet'"):
        parse_target("pynq-z2", "telnet", insecure_remote=False)
    with pytest.raises(InvalidValueError, match="board: must be BOARD or"):
        parse_target("pynq-z2@a@b@c", "ssh", insecure_remote=False)
    with pytest.raises(InvalidValueError, match=r"board\.host: must be given"):
        parse_target("pynq-z2", "ssh", insecure_remote=False).open()


def test_a_twin_takes_a_bitstream_of_its_own_and_a_board_the_stored_one(zynq_project: Path, tmp_path: Path) -> None:
    with served(zynq_project) as server, connected(server) as session:
        expected = hardware(server.board)
        found = bitstream_for(session, expected, tmp_path, Store(tmp_path / "store"))
        assert found.read_bytes() == bitstream(server.board, tmp_path / "other").read_bytes()
        session.read_file = lambda path: b"Linux version 5.15"  # type: ignore[method-assign]
        with pytest.raises(StorageError, match=f"no bitstream of engine {expected.hardware_sha256[:12]}"):
            bitstream_for(session, replace(expected), tmp_path, Store(tmp_path / "store"))
