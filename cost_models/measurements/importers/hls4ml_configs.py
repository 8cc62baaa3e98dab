"""Configurations of hls4ml's designs: ``hls4ml_configs.json``, which holds them by MODEL@BOARD and MODEL-layers@*."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import read_json

FILE = "hls4ml_configs.json"
# Names of one option in the editions of the submission.
_PERIODS, _BOARDS, _POWER = ("ClockPeriod", "clock_period"), ("Board", "board_name"), "EEMBC_power"


@dataclass(frozen=True)
class _Entry:
    config: dict[str, object]
    repo: str = ""
    path: str = ""


@dataclass(frozen=True)
class Configurations:
    """Designs by name, as the file holds them."""

    entries: dict[str, _Entry]

    @classmethod
    def read(cls, folder: Path) -> "Configurations":
        """Read the file in a folder.

        Raises:
            StorageError: it cannot be read or is not as described.
        """
        return cls(read_json(folder / FILE, dict[str, _Entry], "it comes with the table"))

    def of(self, model: str, board: str) -> dict[str, object]:
        """The configuration of a model on a board with which latency was measured; empty where there is none."""
        named = self.entries.get(f"{model}@{board}")
        if named is not None:
            return named.config
        for name, entry in self.entries.items():
            convert = _convert(entry.config)
            made_for = [convert.get(option) for option in _BOARDS]
            if name.startswith(f"{model}@") and board in made_for and not convert.get(_POWER):
                return entry.config
        return {}

    def layers_of(self, model: str, board: str) -> dict[str, object]:
        """The configuration that names a model's layers."""
        named = self.entries.get(f"{model}-layers@*")
        return self.of(model, board) if named is None else named.config

    def period_ns(self, model: str, board: str) -> float | None:
        """The clock period that a design asks for, in ns; None where its configuration does not say.

        Raises:
            InvalidValueError: it is no positive number.
        """
        convert = _convert(self.of(model, board))
        for option in _PERIODS:
            if option in convert:
                value = convert[option]
                if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                    raise InvalidValueError(f"{FILE}: {model}@{board}.{option}", value, "a positive number of ns")
                return float(value)
        return None


def _convert(config: dict[str, object]) -> dict[str, object]:
    convert = config.get("convert")
    return convert if isinstance(convert, dict) else {}


def reuse_factors(configuration: dict[str, object]) -> tuple[int, dict[str, int]]:
    """The reuse factor of a whole model, and of each layer that has its own.

    Raises:
        InvalidValueError: a factor is no positive whole number, or there is none of the whole model.
    """
    named = find(configuration, "LayerName") or find(configuration, "Override")
    own = {
        name: _reuse(f"{name}.ReuseFactor", entry["ReuseFactor"])
        for name, entry in (named.items() if isinstance(named, dict) else ())
        if isinstance(entry, dict) and "ReuseFactor" in entry
    }
    whole = configuration.get("REUSE") or find(configuration, "ReuseFactor")
    return _reuse("ReuseFactor", whole), own


def _reuse(name: str, value: Any) -> int:
    if type(value) is not int or value < 1:
        raise InvalidValueError(f"{FILE}: {name}", value, "a positive whole number")
    return value


def find(values: Any, name: str) -> Any:
    """The first value of that name at any depth, nearest first; None where there is none."""
    queue = [values]
    for value in queue:
        if isinstance(value, dict):
            if name in value:
                return value[name]
            queue += value.values()
    return None
