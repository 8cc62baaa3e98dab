"""Progress that keeps all it is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class RecordedProgress:
    """Stages begun, updates of them, and lines said, in order."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.updates: list[tuple[float, str]] = []
        self.lines: list[str] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float, str], None]]:
        self.stages.append(name)
        yield lambda share, text: self.updates.append((share, text))

    def say(self, text: str) -> None:
        self.lines.append(text)
