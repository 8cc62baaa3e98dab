"""``codesign twin``: an emitted project's engine behind PYNQ.remote's services, in place of a board."""

from pathlib import Path

from bitstreams.twin.board import TwinBoard
from bitstreams.twin.server import LOOPBACK, TwinServer
from codesign.progress import Progress
from cost_models.coefficients import load_coefficients


def twin(project: Path, port: int, coefficients: str, progress: Progress) -> None:
    """Serve until interrupted.

    Raises:
        StorageError: the project is not whole.
        InvalidValueError: no such coefficients.
        ToolError: g++ is missing or refused the code.
        BoardError: the port is taken, or pynq is not installed.
    """
    true = load_coefficients(coefficients)
    with progress.stage("twin") as update:
        update(0.0, "compiling the engine")
        board = TwinBoard(project, true)
    server = TwinServer(board, port)
    try:
        progress.say(
            f"twin       {board.board.name} with engine {board.hardware_sha256[:12]} on {LOOPBACK}:{server.port}"
        )
        server.wait()
    finally:
        server.close()
