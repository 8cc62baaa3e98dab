"""Ways in which a board twin takes time, of which each of its results says which one it had."""

from enum import StrEnum


class Timing(StrEnum):
    """The source of a twin's cycles: the cost model, or the engine's Verilog, simulated clock by clock."""

    MODEL = "model"
    RTL = "rtl"

    @property
    def code(self) -> int:
        """Return what a twin answers in its register ``timing``."""
        return list(Timing).index(self) + 1

    @property
    def source(self) -> str:
        """Return where the results of such a twin come from, as records name it."""
        return f"twin simulated {'by a model' if self is Timing.MODEL else 'at RTL'}"
