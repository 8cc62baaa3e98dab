"""Access to a board: claimed from other processes, with the bitstream of an engine to load."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from bitstreams.board.hardware import Hardware
from bitstreams.board.session import Session
from bitstreams.board.target import Target
from bitstreams.store.store import Store
from bitstreams.twin.bitstream import write_twin_bitstream
from cost_models.coefficients import load_coefficients
from hw_templates.foundation.json_records import read_json
from hw_templates.foundation.lock import board_claim
from hw_templates.project.record import PROJECT_FILE, ProjectRecord


@contextmanager
def claimed(
    target: Target, project: Path, compiling: AbstractContextManager[Callable[[float, str], None]]
) -> Iterator[Target]:
    """Keep a board from all other processes of this machine; yield the target to connect to.

    Args:
        target: the board; where it is a twin without a host, one of the project is started for the time of the claim.
        project: folder of an emitted project.
        compiling: shows that a twin's engine is being compiled; it yields what is called with a share and a few words.

    Raises:
        StorageError: another process uses the board, or the project is not whole.
        ToolError, BoardError: no twin can be made.
    """
    with ExitStack() as stack:
        if target.via == "twin":
            target = replace(target, via="remote")
            if target.host is None:
                from bitstreams.twin.board import TwinBoard
                from bitstreams.twin.server import LOOPBACK, TwinServer

                record = read_json(project / PROJECT_FILE, ProjectRecord, "emit the project again")
                coefficients = load_coefficients(implementation=record.implementation)
                with compiling as update:
                    update(0.0, "compiling the engine")
                    server = TwinServer(TwinBoard(project, coefficients), port=0)
                stack.callback(server.close)
                target = replace(target, host=LOOPBACK, port=server.port)
        stack.enter_context(board_claim(target.address))
        yield target


def bitstream_for(session: Session, hardware: Hardware, folder: Path, store: Store) -> Path:
    """Return the .bit to load: for a twin, one that is written into ``folder``; for a board, the stored one.

    Raises:
        StorageError: the store has no bitstream with the engine, or it is damaged.
    """
    if b"codesign twin" in (session.read_file("/proc/version") or b""):
        clock_mhz = hardware.board.ps.fabric_clock(hardware.accelerator.clock_mhz)[1]
        return write_twin_bitstream(
            folder, hardware.board, hardware.hardware_sha256, clock_mhz, hardware.implementation
        )
    return store.find_engine(hardware.hardware_sha256)
