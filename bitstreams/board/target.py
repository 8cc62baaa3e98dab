"""Which board is meant, where it is, and how it is reached."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bitstreams.board.session import Session
from hw_templates.board import Board, load_board
from hw_templates.foundation.errors import InvalidValueError

_BOARD = re.compile(r"(?P<board>.*?\.toml|[^@]*)(?:@(?P<place>.*))?")
_PLACE = re.compile(r"(?:(?P<user>[^@:]+)@)?(?P<host>\[[0-9a-fA-F:]+\]|[^@:\[\]]+)(?::(?P<port>[0-9]+))?")


class Via(StrEnum):
    """How a board is reached; a twin stands for one on this machine."""

    SSH = "ssh"
    REMOTE = "remote"
    LOCAL = "local"
    TWIN = "twin"


@dataclass(frozen=True)
class Target:
    """A board, and its place in the network where it has one."""

    board: Board
    host: str | None = None
    port: int | None = None
    user: str | None = None


def parse_target(text: str) -> Target:
    """Read BOARD or BOARD@[USER@]HOST[:PORT], where BOARD is a name or the path of a TOML file.

    Raises:
        InvalidValueError: it is neither, or no such board.

    >>> target = parse_target("pynq-z2@xilinx@192.168.2.99:2222")
    >>> target.board.name, target.user, target.host, target.port
    ('pynq-z2', 'xilinx', '192.168.2.99', 2222)
    """
    found = _BOARD.fullmatch(text)
    name, where = (text, None) if found is None else found.group("board", "place")
    if where is None:
        return Target(load_board(name))
    place = _PLACE.fullmatch(where)
    if place is None or (place["port"] and not 0 < int(place["port"]) < 65536):
        raise InvalidValueError("board", text, "BOARD or BOARD@[USER@]HOST[:PORT]")
    port = int(place["port"]) if place["port"] else None
    return Target(load_board(name), place["host"].strip("[]"), port, place["user"])


def open_session(target: Target, via: str, insecure_remote: bool) -> Session:
    """Connect to a board.

    Args:
        target: the board.
        via: ``ssh``, ``remote`` or ``local``.
        insecure_remote: that a connection without a password beyond loopback is meant.

    Raises:
        InvalidValueError: the target has no host where one is needed, or one where none is.
        BoardError: nobody answers, or refuses.
    """
    if (via == "local") != (target.host is None):
        name = target.board.name
        needed = f"given, as {name}@HOST (without a board, --via twin simulates one here)"
        expected = "left out on the board itself" if via == "local" else needed
        raise InvalidValueError("board.host", target.host, expected)
    if via == "local":
        from bitstreams.board.runner_session import local_session

        return local_session()
    assert target.host is not None
    if via == "ssh":
        from bitstreams.board.ssh_session import ssh_session

        return ssh_session(target.host, target.port or 22, target.user or "root")
    from bitstreams.board.remote_session import RemoteSession
    from bitstreams.twin.server import PORT

    return RemoteSession(target.host, target.port or PORT, insecure_remote)
