import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.boards.twins import bitstream, connected, served
from support.pricing.cutting_proxy import CuttingProxy

from bitstreams.board.remote_session import RemoteSession
from bitstreams.board.session import is_loopback
from bitstreams.twin.bitstream import write_twin_bitstream
from bitstreams.twin.server import TwinServer
from hw_templates.board import load_board
from hw_templates.foundation.errors import BoardError, InvalidValueError


def test_only_loopback_is_reached_without_saying_so() -> None:
    assert is_loopback("localhost")
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("192.168.2.99")
    assert not is_loopback("localhost.example.org")
    with pytest.raises(InvalidValueError, match=r"host: must be loopback.*--insecure-remote"):
        RemoteSession("192.168.2.99")


def test_a_board_beyond_loopback_is_reached_where_that_was_said(zynq_twin: TwinServer) -> None:
    own = own_address()
    proxy = CuttingProxy(zynq_twin.port, budget=1 << 20, address=own)
    with pytest.raises(InvalidValueError, match="--insecure-remote"):
        RemoteSession(own, proxy.port)
    session = RemoteSession(own, proxy.port, insecure_remote=True)
    assert session.own_name == "Pynq-Z2"
    session.close()
    proxy.close()


def own_address() -> str:
    """This machine's, as others see it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address beyond loopback")
        return str(probe.getsockname()[0])


def test_nobody_answering_is_one_line() -> None:
    pytest.importorskip("pynq")
    with pytest.raises(BoardError, match=r"127\.0\.0\.1:9: .*see that the board is on"):
        RemoteSession("127.0.0.1", 9)


def test_a_board_says_who_it_is_and_shows_its_own_files_only(twin: TwinServer) -> None:
    with connected(twin) as session:
        assert (session.own_name, session.architecture) in (("Pynq-Z2", "armv7l"), ("ZCU104", "aarch64"))
        assert b"codesign twin" in (session.read_file("/proc/version") or b"")
        assert session.read_file("/etc/passwd") is None


def test_registers_of_absent_blocks_are_an_error_and_not_a_hang(zynq_twin: TwinServer) -> None:
    with connected(zynq_twin) as session, pytest.raises(BoardError, match="0x43C00000: nothing answers there"):
        session.read(0x43C00000)


def test_buffers_keep_what_is_written_at_any_offset(zynq_twin: TwinServer) -> None:
    with connected(zynq_twin) as session:
        buffer = session.allocate(5_000_000)
        assert buffer.address % 4096 == 0
        buffer.write(4_999_000, b"end")
        buffer.write(10, b"start")
        assert buffer.read(9, 7) == b"\0start\0"
        assert buffer.read(4_999_000, 3) == b"end"
        with pytest.raises(ValueError, match="7 bytes from 4999999 on lie outside of the buffer's 5000000"):
            buffer.write(4_999_999, b"too far")
        with pytest.raises(BoardError):
            session.allocate(1 << 30)


def test_a_bitstream_that_the_board_has_under_its_name_is_sent_all_the_same(
    zynq_twin: TwinServer, tmp_path: Path
) -> None:
    bit = bitstream(zynq_twin.board, tmp_path)
    zynq_twin.board.write_file(f"/lib/firmware/{bit.stem}.bin", b"of an upload that was cut")
    with connected(zynq_twin) as session:
        session.load(bit)
        assert session.read_file("/sys/class/fpga_manager/fpga0/state") == b"operating\n"


def test_a_bitstream_of_other_hardware_is_refused_and_the_right_one_loads_after_it(
    zynq_twin: TwinServer, tmp_path: Path
) -> None:
    foreign = write_twin_bitstream(tmp_path, load_board("pynq-z2"), "0" * 64, 100)
    with connected(zynq_twin) as session:
        with pytest.raises(BoardError, match=r"refuses twin_0{16}.bit \(FPGA manager: write error\)"):
            session.load(foreign)
        session.load(bitstream(zynq_twin.board, tmp_path))


def test_nothing_is_kept_in_the_installed_package(
    zynq_twin: TwinServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pynq.pl_server import remote_device

    kept: list[object] = []

    def write(*content: object) -> None:
        kept.append(content)

    monkeypatch.setattr(remote_device, "save_global_state", write)
    monkeypatch.setattr(remote_device, "clear_global_state", write)
    monkeypatch.setattr(remote_device.pickle, "dump", write)
    with connected(zynq_twin) as session:
        session.load(bitstream(zynq_twin.board, tmp_path))
    assert kept == []


def test_a_connection_that_is_cut_while_a_buffer_moves_is_one_line(zynq_twin: TwinServer) -> None:
    proxy = CuttingProxy(zynq_twin.port, budget=3_000_000)
    session = RemoteSession("127.0.0.1", proxy.port)
    buffer = session.allocate(8_000_000)
    with pytest.raises(BoardError, match=f"127.0.0.1:{proxy.port}: unavailable"):
        buffer.write(0, bytes(8_000_000))
    session.close()
    with connected(zynq_twin) as again:
        again.allocate(100).write(0, b"works")


def test_a_session_that_was_closed_says_so(zynq_twin: TwinServer) -> None:
    with connected(zynq_twin) as session:
        buffer = session.allocate(100)
    with pytest.raises(BoardError, match="the session is closed"):
        session.read(0x43C00000)
    with pytest.raises(BoardError, match="the session is closed"):
        buffer.read(0, 1)


CLIENT = """
import sys, warnings
warnings.simplefilter("ignore")
import pynq
from pynq import MMIO, Overlay, allocate
overlay = Overlay(sys.argv[1])
identity = MMIO(0xA0010000, 0x1000)
print(hex(identity.read(0)), hex(identity.read(0x20)), sorted(overlay.ip_dict))
buffer = allocate((16,), dtype="u1")
buffer[:] = range(16)
buffer.flush()
buffer[:] = 0
buffer.invalidate()
print(buffer.sum(), overlay.engine.mmio.read(0) & 4)
"""


def test_a_client_of_pynq_as_it_is_runs_against_the_twin(ultrascale_project: Path, tmp_path: Path) -> None:
    with served(ultrascale_project) as server:
        bit = bitstream(server.board, tmp_path)
        # pynq knows one port only.
        defaults = f"(0, None, {server.port}, 'board')"
        script = f"from pynq.pl_server import remote_device as r; r.RemoteDevice.__init__.__defaults__ = {defaults}\n"
        environment = {**os.environ, "PYNQ_REMOTE_DEVICES": "127.0.0.1"}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script + CLIENT, str(bit)],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        digest = hex(int(server.board.hardware_sha256[:8], 16))
    assert done.stdout.splitlines() == [f"0x43445347 {digest} ['engine', 'identity', 'ps']", "120 4"], done.stderr
