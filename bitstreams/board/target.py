"""The board that a command is for: its place in the network, and how it is reached."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bitstreams.board.session import PYNQ_REMOTE_PORT, LocalSession, Session, is_loopback
from hw_templates.board import Board, load_board
from hw_templates.foundation.errors import InvalidValueError, UnknownNameError

_TARGET = re.compile(
    r"(?P<board>.*?\.toml|[^@]*)"
    r"(?:@(?:(?P<user>[^@:]+)@)?(?P<host>\[[0-9a-fA-F:]+\]|[^@:\[\]]+)(?::(?P<port>[0-9]+))?)?"
)


class Via(StrEnum):
    """Way in which a board is reached; a twin stands for one on this machine."""

    SSH = "ssh"
    REMOTE = "remote"
    LOCAL = "local"
    TWIN = "twin"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A board, its place in the network where it has one, and how it is reached.

    Attributes:
        board: the board.
        host, port, user: place in the network; None where the board has none, or for the usual one.
        via: one of :class:`Via`.
        insecure_remote: whether a connection without a password beyond loopback is intended.
    """

    board: Board
    host: str | None = None
    port: int | None = None
    user: str | None = None
    via: str = "ssh"
    insecure_remote: bool = False

    @property
    def address(self) -> str:
        """Return what identifies the board: on this machine's addresses, each port is a tunnel or twin of its own."""
        if self.host is None:
            return "this machine"
        return f"{self.host}:{self.port or self.via}" if is_loopback(self.host) else self.host

    def open(self) -> Session:
        """Connect to the board.

        Raises:
            InvalidValueError: there is no host where one is needed, or one where none is.
            BoardError: nobody answers, or the board refuses.
        """
        if (self.via == "local") != (self.host is None):
            name = self.board.name
            needed = f"given, as {name}@HOST (without a board, --via twin simulates one here)"
            expected = "left out on the board itself" if self.via == "local" else needed
            raise InvalidValueError("board.host", self.host, expected)
        if self.host is None:
            return LocalSession()
        if self.via == "ssh":
            from bitstreams.board.ssh_session import SshSession

            return SshSession(self.host, self.port or 22, self.user or "root")
        from bitstreams.board.remote_session import RemoteSession

        return RemoteSession(self.host, self.port or PYNQ_REMOTE_PORT, self.insecure_remote)


def parse_target(text: str, via: str = "ssh", insecure_remote: bool = False) -> Target:
    """Parse BOARD or BOARD@[USER@]HOST[:PORT], where BOARD is a name or the path of a TOML file.

    The other arguments are those of :class:`Target`.

    Raises:
        InvalidValueError: the text is neither, or no board or way to reach one is called so.

    >>> target = parse_target("pynq-z2@xilinx@192.168.2.99:2222")
    >>> target.board.name, target.user, target.host, target.port
    ('pynq-z2', 'xilinx', '192.168.2.99', 2222)
    """
    if via not in tuple(Via):
        raise UnknownNameError("via", via, Via)
    found = _TARGET.fullmatch(text)
    if found is None or (found["port"] and not 0 < int(found["port"]) < 65536):
        raise InvalidValueError("board", text, "BOARD or BOARD@[USER@]HOST[:PORT]")
    host = found["host"].strip("[]") if found["host"] else None
    port = int(found["port"]) if found["port"] else None
    return Target(
        board=load_board(found["board"]),
        host=host,
        port=port,
        user=found["user"],
        via=via,
        insecure_remote=insecure_remote,
    )
