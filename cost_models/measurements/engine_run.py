"""Runs of an engine: layers with their mappings, on an accelerator and a board, at a clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import msgspec

from cost_models.mapping.mapped_layer import MappedLayer
from cost_models.mapping.mapping import Mapping
from cost_models.mapping.placement import IN_MEMORY, Placement
from cost_models.workload import Activation, Layer
from hw_templates.board import Board
from hw_templates.conv_engine.accelerator import Accelerator
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_records import PositiveInt, ZeroOrMore, check_fields

OWN_ENGINE = "conv_engine"

ClockMhz = Annotated[float, msgspec.Meta(gt=0, lt=10_000, description="a positive number of megahertz, below 10000")]
Text = Annotated[str, msgspec.Meta(pattern=r"\S", description="text that is not empty")]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="a sha256 in hexadecimal")]


@dataclass(frozen=True)
class MeasuredLayer:
    """A layer that ran; its mapping is optional, because published tables seldom state one.

    Raises:
        InvalidValueError: a field is of another type.
    """

    layer: Layer
    activation: Activation = Activation.IDENTITY
    mapping: Mapping | None = None
    placement: Placement = IN_MEMORY

    def __post_init__(self) -> None:
        check_fields(self, "measurement.layers")

    @classmethod
    def of(cls, ran: MappedLayer) -> "MeasuredLayer":
        """Return the record of a layer that ran on our engine."""
        return cls(ran.layer, mapping=ran.mapping, placement=ran.placement)


@dataclass(frozen=True, kw_only=True)
class EngineRun:
    """Layers that one start of an engine runs.

    Attributes:
        engine: ``conv_engine`` or the name of a foreign engine.
        board: where it runs: the name of a board, or a board of the user's own.
        clock_mhz: of the programmable logic.
        layers: in order; empty where only the network's name is known.
        network: name of what runs, where ``layers`` do not say it.
        accelerator: parameters of the engine, where it has ours.
        bitstream: sha256 of the bitstream; None where it is not known.
        batch: images a run.
        settings: further numbers that the engine is told.
        counters: what the engine or its compiler counts, for example ``ddr_bytes``.
        campaign: runs with the same driver, bitstream and clock share a campaign, and with it all coefficients; empty
            for a campaign that is not known.
        group: rows of one group resemble each other and are left out together; without one, a row stands alone.

    Raises:
        InvalidValueError: a field breaks a rule.
        MappingError: our engine cannot run a layer as it is mapped.
    """

    _name: ClassVar[str] = "run"

    engine: Text
    board: Text | Board
    clock_mhz: ClockMhz
    layers: tuple[MeasuredLayer, ...] = ()
    network: str | None = None
    accelerator: Accelerator | None = None
    bitstream: Sha256 | None = None
    batch: PositiveInt = 1
    settings: dict[str, ZeroOrMore] = field(default_factory=dict)
    counters: dict[str, ZeroOrMore] = field(default_factory=dict)
    campaign: str = field(default_factory=str)
    group: str | None = None

    def __post_init__(self) -> None:
        check_fields(self, self._name)
        if not self.layers and not self.network:
            raise InvalidValueError(f"{self._name}.layers", (), "at least one layer, or the network named")
        if self.engine == OWN_ENGINE:
            if self.accelerator is None:
                raise InvalidValueError(f"{self._name}.accelerator", None, f"given for {OWN_ENGINE}")
            if self.accelerator.clock_mhz < self.clock_mhz:
                raise InvalidValueError(f"{self._name}.clock_mhz", self.clock_mhz, "at most the accelerator's clock")
            for ran in self.mapped_layers:
                ran.check(self.accelerator)

    @property
    def mapped_layers(self) -> tuple[MappedLayer, ...]:
        """Layers with the mappings and placements that our engine runs.

        Raises:
            InvalidValueError: a mapping is not known.
        """
        return mapped(self.layers, f"{self._name}.layers")


def mapped(layers: Sequence[MeasuredLayer], name: str = "layers") -> tuple[MappedLayer, ...]:
    """Return layers as our engine runs them; ``name`` is what messages call them.

    Raises:
        InvalidValueError: a mapping is not known.
    """
    for index, ran in enumerate(layers):
        if ran.mapping is None:
            raise InvalidValueError(f"{name}[{index}].mapping", None, f"given for {OWN_ENGINE}")
    return tuple(MappedLayer(ran.layer, ran.mapping, ran.placement) for ran in layers if ran.mapping is not None)
