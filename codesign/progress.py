"""Progress of long work, as whoever watches it is told."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Update = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and a few words on where the work stands."""


class Progress(Protocol):
    """An observer of long work."""

    def stage(self, name: str, /) -> AbstractContextManager[Update]:
        """Begin a stage of the work; the context yields a function to call as the stage advances."""


class Silent:
    """Progress that nobody watches."""

    def stage(self, _name: str) -> AbstractContextManager[Update]:
        """Return a context whose function does nothing."""
        return nullcontext(lambda _share, _text: None)
