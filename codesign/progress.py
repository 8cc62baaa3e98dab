"""How long work tells that it is getting on."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Update = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and a few words on where the work stands."""


class Progress(Protocol):
    """Something that shows progress and results."""

    def stage(self, name: str, /) -> AbstractContextManager[Update]:
        """A stretch of work; what it yields is called as the work gets on."""

    def say(self, text: str, /) -> None:
        """Show one line of results."""


class Silent:
    """Progress that nobody watches."""

    def stage(self, _name: str) -> AbstractContextManager[Update]:
        """Something to call that does nothing."""
        return nullcontext(lambda _share, _text: None)

    def say(self, _text: str) -> None:
        """Do nothing."""
