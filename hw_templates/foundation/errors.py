"""Every error the project raises on purpose.

CodesignError
├── InvalidValueError     a field holds a value it must not hold
│   └── UnknownNameError  a name that is none of the known ones
├── ResourceError         an accelerator does not fit a board
├── UnsupportedLayerError a layer the engine cannot run
├── MappingError          a layer has no legal tiling on an accelerator
├── InfeasibleError       no pair meets the limits asked for
├── FetchError            a published file cannot be brought, or is not what was published
├── StorageError          a file or study is missing, corrupt, foreign or cannot be written
├── VerificationError     emitted hardware disagrees with its reference
├── ToolError             an external tool failed
│   └── MissingToolError  an external tool is not installed, or of a version that does not serve
└── BoardError            a board cannot be reached, does not answer, or is not the one expected
"""

import difflib
from collections import abc

_SHOWN = 160


class CodesignError(Exception):
    """Root of every error raised on purpose; its message is one line fit to show a user."""


class InvalidValueError(CodesignError):
    """A field holds a value it must not hold."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: must be {expected}, got {_shown(value)}")
        self.field = field
        self.value = value
        self.expected = expected


class UnknownNameError(InvalidValueError):
    """A name that is none of the known ones; the message suggests the nearest.

    Args:
        known: the names; the message lists them unless ``expected`` says what they are.
    """

    def __init__(self, field: str, name: str, known: abc.Iterable[str], expected: str | None = None) -> None:
        names = tuple(map(str, known))
        super().__init__(field, name, expected or f"one of {', '.join(names)}")
        nearest = difflib.get_close_matches(str(name).lower(), names, n=1)
        if nearest:
            self.args = (f"{self}; did you mean {nearest[0]!r}?",)


def _shown(value: object) -> str:
    """Represent a value on one line of bounded length: it may come from anywhere."""
    try:
        text = " ".join(repr(value).split("\n"))
    except (RecursionError, ValueError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class ResourceError(CodesignError):
    """An accelerator needs more of a resource than its board has."""


class UnsupportedLayerError(CodesignError):
    """A layer the engine cannot run."""


class MappingError(CodesignError):
    """A layer has no legal tiling on an accelerator."""


class InfeasibleError(CodesignError):
    """No pair meets the limits asked for."""


class FetchError(CodesignError):
    """A published file cannot be brought, or is not what was published."""


class StorageError(CodesignError):
    """A file or study is missing, corrupt, foreign or cannot be written."""


class VerificationError(CodesignError):
    """Emitted hardware disagrees with its reference."""


class ToolError(CodesignError):
    """An external tool failed, or is missing."""


class MissingToolError(ToolError):
    """An external tool is not installed, or of a version that does not serve."""


class BoardError(CodesignError):
    """A board cannot be reached, does not answer, or is not the one expected."""


class ExtrapolationWarning(UserWarning):
    """Coefficients are used outside of what they were fitted on; its message is one line, too."""
