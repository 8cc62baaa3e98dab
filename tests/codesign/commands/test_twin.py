"""A twin that is started from Python: it serves until it is closed, and says what and where."""

import socket
from contextlib import closing
from pathlib import Path

import pytest
from support.boards.twins import zynq_project
from support.recorded_progress import RecordedProgress

from codesign.cli.text.boards import twin_lines
from codesign.commands.bitstreams import start_twin
from hw_templates.foundation.errors import BoardError, InvalidValueError, StorageError

pytest.importorskip("pynq", reason="pynq is not installed: pip install --editable '.[board]'")
__all__ = ["zynq_project"]


def test_a_twin_serves_until_it_is_closed(zynq_project: Path) -> None:
    with closing(start_twin(zynq_project, 0, "prior", RecordedProgress())) as server:
        served = server.served
        assert (served.board, served.host) == ("pynq-z2", "127.0.0.1")
        assert list(twin_lines(served)) == [
            f"twin       pynq-z2 with engine {served.hardware_sha256[:12]} on 127.0.0.1:{served.port}"
        ]
        socket.create_connection((served.host, served.port), timeout=5).close()
        with pytest.raises(BoardError, match=f"port: {served.port} on 127.0.0.1 is taken"):
            start_twin(zynq_project, served.port, "prior", RecordedProgress())
    with pytest.raises(ConnectionError):
        socket.create_connection((served.host, served.port), timeout=5)


def test_what_cannot_be_served_is_named(zynq_project: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="coefficients: must be one of prior"):
        start_twin(zynq_project, 0, "nothing", RecordedProgress())
    with pytest.raises(InvalidValueError, match="timing: must be one of model, rtl, got 'real'"):
        start_twin(zynq_project, 0, "prior", RecordedProgress(), timing="real")
    with pytest.raises(InvalidValueError, match="timing: must be model for a project whose implementation is hls, got"):
        start_twin(zynq_project, 0, "prior", RecordedProgress(), timing="rtl")
    with pytest.raises(StorageError, match=r"project\.json: is missing"):
        start_twin(tmp_path, 0, "prior", RecordedProgress())


def test_a_twin_of_another_implementation_is_refused(zynq_project: Path) -> None:
    with pytest.raises(InvalidValueError, match=r"implementation: must be hls, which .* was emitted for; leave it out"):
        start_twin(zynq_project, 0, "prior", RecordedProgress(), implementation="rtl")
