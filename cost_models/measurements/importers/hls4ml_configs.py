"""Configurations of hls4ml's designs: ``hls4ml_configs.json``, which holds them by MODEL@BOARD and MODEL-layers@*."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import read_json

FILE = "hls4ml_configs.json"
# Names of one option in the editions of the submission.
_PERIODS, _BOARDS, _POWER = ("ClockPeriod", "clock_period"), ("Board", "board_name"), "EEMBC_power"


@dataclass(frozen=True)
class Configuration:
    """Configuration of one design, as hls4ml reads it, and the file that it comes from."""

    config: dict[str, object] = field(default_factory=dict)
    repo: str = ""
    path: str = ""

    @property
    def conversion(self) -> dict[str, object]:
        """Options of the conversion."""
        found = self.config.get("convert")
        return found if isinstance(found, dict) else {}

    def reuse_factors(self) -> tuple[int, dict[str, int]]:
        """Return the reuse factor of the whole model, and of each layer that has its own.

        Raises:
            InvalidValueError: a factor is not a positive whole number, or the whole model has none.
        """
        named = find(self.config, "LayerName") or find(self.config, "Override")
        own = {
            name: _reuse(f"{name}.ReuseFactor", entry["ReuseFactor"])
            for name, entry in (named.items() if isinstance(named, dict) else ())
            if isinstance(entry, dict) and "ReuseFactor" in entry
        }
        return _reuse("ReuseFactor", self.config.get("REUSE") or find(self.config, "ReuseFactor")), own


def _reuse(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise InvalidValueError(f"{FILE}: {name}", value, "a positive whole number")
    return value


def find(values: Any, name: str) -> Any:
    """Return the first value of a name at any depth, nearest first; None without one."""
    queue = [values]
    for value in queue:
        if isinstance(value, dict):
            if name in value:
                return value[name]
            queue += value.values()
    return None


@dataclass(frozen=True)
class Configurations:
    """Designs by name, as the file holds them."""

    entries: dict[str, Configuration]

    @classmethod
    def read(cls, folder: Path) -> "Configurations":
        """Read the file in a folder.

        Raises:
            StorageError: it cannot be read or is not as described.
        """
        return cls(read_json(folder / FILE, dict[str, Configuration], "it comes with the table"))

    def of(self, model: str, board: str) -> Configuration:
        """Return the configuration of a model on a board with which latency was measured; an empty one without it."""
        if f"{model}@{board}" in self.entries:
            return self.entries[f"{model}@{board}"]
        for name, entry in self.entries.items():
            options = entry.conversion
            made_for = [options.get(option) for option in _BOARDS]
            if name.startswith(f"{model}@") and board in made_for and not options.get(_POWER):
                return entry
        return Configuration()

    def layers_of(self, model: str, board: str) -> Configuration:
        """Return the configuration that names a model's layers."""
        return self.entries.get(f"{model}-layers@*") or self.of(model, board)

    def period_ns(self, model: str, board: str) -> float | None:
        """Return the clock period that a design asks for, in ns; None where its configuration does not state it.

        Raises:
            InvalidValueError: it is not a positive number.
        """
        options = self.of(model, board).conversion
        for option in _PERIODS:
            if option in options:
                value = options[option]
                if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                    raise InvalidValueError(f"{FILE}: {model}@{board}.{option}", value, "a positive number of ns")
                return float(value)
        return None
