import pytest

from bitstreams.board.target import parse_target
from hw_templates.foundation.errors import BoardError, InvalidValueError


def test_a_board_may_have_a_user_a_host_and_a_port() -> None:
    target = parse_target("zcu104@root@[::1]:22")
    assert (target.board.name, target.user, target.host, target.port) == ("zcu104", "root", "::1", 22)
    target = parse_target("pynq-z2@pynq.local")
    assert (target.user, target.host, target.port) == (None, "pynq.local", None)
    assert parse_target("pynq-z2").host is None


@pytest.mark.parametrize("text", ["pynq-z2@", "pynq-z2@a@b@c", "pynq-z2@host:0", "pynq-z2@host:99999", "pynq-z2@h:x"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"board: must be BOARD or BOARD@\[USER@\]HOST\[:PORT\]"):
        parse_target(text)


def test_unknown_boards_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="board: must be one of"):
        parse_target("pynq-z9@host")


def test_a_host_is_named_where_one_is_needed_and_only_there() -> None:
    with pytest.raises(InvalidValueError, match="given, as pynq-z2@HOST"):
        parse_target("pynq-z2", "ssh").open()
    with pytest.raises(InvalidValueError, match="left out on the board itself"):
        parse_target("pynq-z2@host", "local").open()
    with pytest.raises(InvalidValueError, match="--insecure-remote"):
        parse_target("pynq-z2@192.0.2.1", "remote").open()
    with pytest.raises(BoardError, match="connection lost"):
        parse_target("pynq-z2@127.0.0.1:9", "ssh").open()
