import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.boards.ssh_server import SshServer, logged_in, ssh_server
from support.boards.twins import golden_of, images_of, spoil_loaded, stated_of
from support.mutations import drive, mutated_json
from support.nameless import become_nameless

from bitstreams.board.control import UnfinishedRunError
from bitstreams.board.driver import Engine
from bitstreams.board.hardware import Hardware
from bitstreams.board.session import ConnectionLostError
from bitstreams.board.ssh_session import SshSession, parse_answer
from bitstreams.twin.bitstream import write_twin_bitstream
from hw_templates.board import load_board
from hw_templates.conv_engine import registers
from hw_templates.conv_engine.program import read_program
from hw_templates.foundation.errors import BoardError
from hw_templates.foundation.json_records import read_json
from hw_templates.project.record import PROJECT_FILE, ProjectRecord


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, zynq_project: Path) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("ssh") / "server", zynq_project) as running:
        yield running


@pytest.fixture
def session(server: SshServer) -> Iterator[SshSession]:
    opened = logged_in(server)
    yield opened
    opened.close()


def engine_on(session: SshSession, project: Path, folder: Path) -> Engine:
    record = read_json(project / PROJECT_FILE, ProjectRecord, "emit it again")
    board, digest, implementation = load_board("pynq-z2"), record.hardware_sha256, record.implementation
    bit = write_twin_bitstream(folder, board, digest, record.accelerator.clock_mhz, implementation)
    return Engine(session, Hardware(board, digest, record.accelerator, implementation), bit)


def test_a_program_runs_bit_exactly_over_ssh_and_a_start_that_hangs_is_survived(
    session: SshSession, zynq_project: Path, tmp_path: Path
) -> None:
    assert (session.own_name, session.architecture) == ("Pynq-Z2", "armv7l")
    engine = engine_on(session, zynq_project, tmp_path)
    program = read_program(zynq_project)
    engine.load_program(program)
    assert list(engine.run(images_of(zynq_project))) == golden_of(zynq_project)
    assert [tuple(row) for row in engine.trips()] == stated_of(zynq_project)
    assert (session.rails(), session.rail_power_w("12V")) == (["12V"], 3.5)
    engine.twin = None
    timed = engine.measure(images_of(zynq_project)[0], 2)
    assert timed.cycles is None
    assert (timed.ms > 0).all()
    assert engine._loaded is not None
    # Memory that no buffer has ends the twin's engine.
    spoil_loaded(engine, ifmap_word=engine._loaded.arena.size // program.axi_bytes)
    with pytest.raises(UnfinishedRunError, match="no allocated buffer has it; it has been configured again"):
        list(engine.run(images_of(zynq_project)))
    engine.load_program(program)
    assert list(engine.run(images_of(zynq_project))) == golden_of(zynq_project)


def test_what_the_board_raises_is_one_line(session: SshSession) -> None:
    with pytest.raises(BoardError, match="0x43C00000: nothing answers there"):
        session.read(0x43C00000)
    with pytest.raises(BoardError, match="memory: no 1,073,741,824 bytes left"):
        session.allocate(1 << 30)
    assert session.read_file("/nowhere") is None


def test_a_board_has_one_user_at_a_time_wherever_they_are(
    session: SshSession, server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another() -> SshSession:
        return logged_in(server)

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("platform.node", lambda: "elsewhere")
        with pytest.raises(
            BoardError, match=r"in use by root@.*, process \d+; wait for it, stop it, or end process \d+"
        ):
            another()
        assert session.read_file("/nowhere") is None
        session.close()
        second = another()
    # The runner that this process left behind there is not its own.
    with pytest.raises(BoardError, match="in use by root@elsewhere"):
        another()
    second.close()
    another().close()


def test_a_runner_that_a_lost_connection_left_behind_is_ended(session: SshSession, server: SshServer) -> None:
    again = logged_in(server)
    assert again.read_file("/nowhere") is None
    with pytest.raises(ConnectionLostError, match=r"the runner ended|connection lost"):
        session.read_file("/nowhere")
    again.close()


def test_an_unknown_or_changed_host_key_and_a_refused_login_are_told_apart(server: SshServer) -> None:
    other_key = (server.key.parent / "user.pub").read_text()
    for known in ("", f"[127.0.0.1]:{server.port} {other_key}"):
        with pytest.raises(BoardError, match="its host key is unknown or has changed"):
            logged_in(server, known_hosts=known)
    with pytest.raises(BoardError, match=r"login refused .*; add your public key"):
        logged_in(server, key=server.key.parent / "host")


@pytest.mark.parametrize(
    ("python_does", "message"),
    [
        (f'exec {sys.executable} -I -S "$@"', r"pynq: cannot be used \(No module named 'pynq'\)"),
        ("echo 'sudo: a password is required' >&2; exit 1", "sudo: a password is required; log in as root"),
        ("exit 3", r"the runner ended \(without a word\); see that the board is on"),
    ],
)
def test_a_board_on_which_the_runner_cannot_work_is_one_line(
    python_does: str, message: str, zynq_project: Path, tmp_path: Path
) -> None:
    with ssh_server(tmp_path / "server", zynq_project, python_does) as server, pytest.raises(BoardError) as refused:
        logged_in(server)
    assert re.search(message, str(refused.value))
    assert "\n" not in str(refused.value)


def test_a_host_that_is_not_there_and_one_that_goes_away_are_one_line(tmp_path: Path, zynq_project: Path) -> None:
    with ssh_server(tmp_path / "server", zynq_project) as server:
        opened = logged_in(server)
        opened._run(_abort(opened), 5)
        with pytest.raises(BoardError, match="see that the board is on and reachable"):
            opened.read(0)
        opened.close()
    with pytest.raises(BoardError, match="connection lost"):
        logged_in(server)


async def _abort(session: SshSession) -> None:
    session._connection.abort()


def test_an_account_without_a_name_or_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    become_nameless(monkeypatch)
    with pytest.raises(BoardError, match=r"^ssh: user 54321 has no entry in passwd; set LOGNAME and HOME$"):
        SshSession("127.0.0.1")
    monkeypatch.setenv("HOME", "/")
    with pytest.raises(BoardError, match=r"^ssh: user 54321 has no entry in passwd; set LOGNAME$"):
        SshSession("127.0.0.1")


def test_any_answer_is_read_or_refused_in_one_line() -> None:
    def read(content: bytes) -> None:
        header = parse_answer(content, "board.local")
        assert "value" in header or "error" in header

    accepted, refused = drive(read, mutated_json({"value": {"name": "pynq-z2", "clock_mhz": 100.0}}, 2_000))
    assert accepted > 100
    assert refused > 500


def test_ctrl_c_aborts_a_run_on_the_board_and_the_next_answer_is_that_of_the_next_call(
    tmp_path: Path, verilog_project: Path
) -> None:
    program, images = read_program(verilog_project), images_of(verilog_project)
    with ssh_server(tmp_path / "server", verilog_project) as server:
        session = logged_in(server)
        engine = engine_on(session, verilog_project, tmp_path)
        engine.load_program(program)
        interruption = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        interruption.start()
        # As many images as one start runs take longer than that.
        with pytest.raises(KeyboardInterrupt):
            engine.repeat(images[0])
        assert engine._control._get("status") & registers.STATUS_CODE == 8
        assert list(engine.run(images)) == golden_of(verilog_project)
        session.close()
