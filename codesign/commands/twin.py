"""``codesign twin``: an emitted project's engine behind PYNQ.remote's services, in place of a board."""

from pathlib import Path

from bitstreams.twin.board import TwinBoard
from bitstreams.twin.server import TwinServer
from codesign.progress import Progress
from cost_models.coefficients import load_coefficients


def start_twin(project: Path, port: int, coefficients: str, progress: Progress) -> TwinServer:
    """Serve a twin on loopback until it is closed.

    Raises:
        StorageError: the project is not whole.
        InvalidValueError: no such coefficients.
        ToolError: g++ is missing or refused the code.
        BoardError: the port is taken, or pynq is not installed.
    """
    with progress.stage("twin") as update:
        update(0.0, "compiling the engine")
        return TwinServer(TwinBoard(project, load_coefficients(coefficients)), port)
