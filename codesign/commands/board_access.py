"""Boards as commands reach them: claimed from other processes, with the bitstream of an emitted project."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bitstreams.board.driver import Hardware
from bitstreams.board.remote_session import is_loopback
from bitstreams.board.session import Session
from bitstreams.board.target import Target, Via, open_session, parse_target
from bitstreams.twin.bitstream import write_twin_bitstream
from codesign.commands.bitstreams import open_store
from codesign.progress import Progress
from cost_models.coefficients import load_coefficients
from hw_templates.foundation.errors import StorageError, UnknownNameError
from hw_templates.foundation.lock import board_claim


@dataclass(frozen=True)
class Reach:
    """Which board, and how it is reached.

    Attributes:
        target: the board.
        via: one of :class:`bitstreams.board.target.Via`.
        insecure_remote: that a connection without a password beyond loopback is meant.
    """

    target: Target
    via: str
    insecure_remote: bool = False

    @classmethod
    def of(cls, board: str, via: str, insecure_remote: bool) -> "Reach":
        """What a command line asks for: BOARD or BOARD@[USER@]HOST[:PORT], and how.

        Raises:
            InvalidValueError: it is none of these.
        """
        if via not in tuple(Via):
            raise UnknownNameError("via", via, Via)
        return cls(parse_target(board), via, insecure_remote)

    def open(self) -> Session:
        """Connect.

        Raises:
            InvalidValueError: a host where none is wanted, or none where one is.
            BoardError: nobody answers, or refuses.
        """
        return open_session(self.target, "remote" if self.via == "twin" else self.via, self.insecure_remote)

    @property
    def _address(self) -> str:
        """What is one board's: of this machine's addresses, each port is a tunnel or a twin of its own."""
        host, port = self.target.host, self.target.port
        if host is None:
            return "this machine"
        return f"{host}:{port or self.via}" if is_loopback(host) else host


@contextmanager
def claimed(reach: Reach, project: Path, progress: Progress) -> Iterator[Reach]:
    """The board, which no other process of this machine uses meanwhile; a twin of ``project`` where none is named.

    Raises:
        StorageError: another process is at work on the board, or the project is not whole.
        ToolError, BoardError: no twin can be made.
    """
    with ExitStack() as stack:
        if reach.via == "twin" and reach.target.host is None:
            from bitstreams.twin.board import TwinBoard
            from bitstreams.twin.server import LOOPBACK, TwinServer

            with progress.stage("twin") as update:
                update(0.0, "compiling the engine")
                server = TwinServer(TwinBoard(project, load_coefficients()), port=0)
            stack.callback(server.close)
            reach = Reach(Target(reach.target.board, LOOPBACK, server.port), reach.via)
        stack.enter_context(board_claim(reach._address))
        yield reach


def bitstream_for(session: Session, hardware: Hardware, folder: Path, store: Path | None) -> Path:
    """The .bit to load: of a twin, one that it takes, in ``folder``; of a board, the stored one with the engine.

    Raises:
        StorageError: the store has none, or it is damaged.
    """
    if b"codesign twin" in (session.read_file("/proc/version") or b""):
        clock_mhz = hardware.board.ps.fabric_clock(hardware.accelerator.clock_mhz)[1]
        return write_twin_bitstream(folder, hardware.board, hardware.hardware_sha256, clock_mhz)
    opened = open_store(store)
    for entry in reversed(opened.entries()):
        if entry.bitstream.hardware_sha256 == hardware.hardware_sha256:
            problems = opened.verify(entry)
            if problems:
                raise StorageError(f"{entry.folder}: {problems[0]}; import or build it again")
            return entry.path("bit")
    raise StorageError(
        f"{opened.folder}: no bitstream of engine {hardware.hardware_sha256[:12]}; `codesign build RUN` makes it, "
        "`codesign import` brings one"
    )
