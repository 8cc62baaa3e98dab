"""Every error the project raises on purpose.

CodesignError
├── InvalidValueError     a field holds a value it must not hold
├── ResourceError         an accelerator does not fit a board
├── UnsupportedLayerError a layer the engine cannot run
├── MappingError          a layer has no legal tiling on an accelerator
├── InfeasibleError       no pair meets the limits asked for
├── FetchError            a published file cannot be brought, or is not what was published
├── StorageError          a file or study is missing, corrupt, foreign or cannot be written
├── VerificationError     emitted hardware disagrees with its reference
├── ToolError             an external tool is missing or failed
└── BoardError            a board cannot be reached, does not answer, or is not the one expected
"""


class CodesignError(Exception):
    """Root of every error raised on purpose; its message is one line fit to show a user."""


class InvalidValueError(CodesignError):
    """A field holds a value it must not hold."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: must be {expected}, got {value!r}")
        self.field = field
        self.value = value
        self.expected = expected


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
    """An external tool is missing or failed."""


class BoardError(CodesignError):
    """A board cannot be reached, does not answer, or is not the one expected."""


class ExtrapolationWarning(UserWarning):
    """Coefficients are used outside of what they were fitted on; its message is one line, too."""
