"""The protocol of a template: a kind of hardware that pairs of subnet and accelerator become.

A template is one object, found by its name in :mod:`codesign.templates.registry`. All commands work with it: the search
asks for its :class:`~codesign.search.problem.Problem`, the others for the project of a winning pair.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from codesign.emit.integer_reference import QuantisedNetwork, run_integer
from codesign.emit.map_scales import INT8, Grid
from codesign.emit.quantise import quantise_image, quantise_on
from codesign.progress import Update
from codesign.report.page import Section
from codesign.run.folder import Run
from codesign.run.records import CsimRecord
from codesign.run.requests import Trained
from codesign.search.joint_space import DesignSpace, JointSpace, Pair
from codesign.search.problem import Problem
from codesign.search.winner import Winner
from codesign.supernet.accuracy.measured import CALIBRATION_IMAGES, MeasuredAccuracy
from codesign.supernet.data.data_set import Split
from codesign.supernet.lowering.workloads import lower
from codesign.supernet.network.subnets import fold
from codesign.supernet.spaces.space import Subnet
from codesign.supernet.training.processes import one_thread
from hw_templates.board import Board
from hw_templates.conv_engine.implementation import Implementation
from hw_templates.foundation.arrays import Int8Array
from hw_templates.foundation.errors import InvalidValueError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESOURCE_NAMES = {"dsp": "DSP slices", "bram_18k": "BRAM18", "uram": "URAM", "lut": "LUT", "ff": "FF"}


@dataclass(frozen=True, kw_only=True)
class ChosenPair:
    """A winning pair that is to be emitted.

    Attributes:
        winner: the pair, and how it was chosen.
        problem: prices the pair; of the template's own type.
        trained: the supernet whose weights the project holds.
        study: name of the study that the pair was chosen from.
        folder: where the project is written.
    """

    winner: Winner
    problem: Any
    trained: Trained
    study: str
    folder: Path


@dataclass(frozen=True, kw_only=True)
class EmittedProject:
    """A project as it was written.

    Attributes:
        precision: the arithmetic of the project, such as ``int8``.
        float32: accuracy (0..1) of the subnet on the test part, in floating point.
        quantised: the same in the project's arithmetic.
        digest: of what the project computes; a simulation of another project has another one.
        notes: sentences for the user.
    """

    precision: str
    float32: float
    quantised: float
    digest: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EmittedPair:
    """A pair that was emitted, as a report reads it from the run folder.

    Attributes:
        pair: subnet and accelerator.
        problem: prices the pair; of the template's own type.
        quantised: accuracy (0..1) on the test part in that arithmetic.
        results: the folder of the project and the other results.
    """

    pair: Pair
    problem: Any
    quantised: float
    results: Run


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantisedSubnet:
    """A subnet in integers, and how it does on a part of the data.

    Attributes:
        network: the integers.
        steps: real value of one step of each map, as :func:`~codesign.emit.quantise.quantise_on` returns them.
        images: int8 [n, C, H, W], those of the part as the network reads them.
        float32: accuracy (0..1) in floating point.
        quantised: the same in integers.
    """

    network: QuantisedNetwork
    steps: dict[str, float]
    images: Int8Array
    float32: float
    quantised: float


@dataclass(frozen=True)
class Finding:
    """The finding of a check.

    Attributes:
        passed: whether all is as it must be.
        text: what was found, in a sentence.
        figures: the numbers in it, by name with their unit.
        table: rows of text, the first of which are headings; none where there is no table.
    """

    passed: bool
    text: str
    figures: Mapping[str, float] = field(default_factory=dict)
    table: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Check:
    """A check of an emitted project.

    Attributes:
        name: what is checked.
        how: how it is checked, to follow the name.
        find: does it; raises :class:`~hw_templates.foundation.errors.MissingToolError` where a tool is not there, and
            :class:`~hw_templates.foundation.errors.VerificationError` where results differ.
    """

    name: str
    how: str
    find: Callable[[Update], Finding]


@dataclass(frozen=True)
class ReportPart:
    """The part of a report that only the template can write: sections, and the pictures in them by file name."""

    sections: tuple[Section, ...] = ()
    pictures: Mapping[str, "Figure"] = field(default_factory=dict)


@dataclass(frozen=True)
class Datasheet:
    """One side of a comparison of two templates for the same subnet.

    Attributes:
        description: of the accelerator, to follow "on".
        figures: name to text; both sides are shown in the order of the first.
    """

    description: str
    figures: Mapping[str, str]


@dataclass(frozen=True)
class Simulation:
    """Simulation of an emitted project.

    Attributes:
        images: number of test images, the first ones, at least 1; None, or more than there are, for all.
        sanitize: whether under sanitizers for addresses and undefined behaviour.
        implementation: name of the engine's implementation, which must be the project's; None for that one.

    Raises:
        InvalidValueError: no image.
    """

    images: int | None = None
    sanitize: bool = False
    implementation: str | None = None

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 1:
            raise InvalidValueError("images", self.images, "at least 1, or None for all")


class Template(Protocol):
    """A kind of hardware. A class that inherits from this one must define what is abstract.

    Attributes:
        name: as users write it with ``--template``; also the folder of its results.
        accelerator: frozen dataclass with the parameters of an accelerator, as the template's space decodes them.
        refused: options that the template does not take, each with the reason.
        demo_space: space of subnets for ``codesign demo``.
        has_losses: whether :meth:`measure_losses` is to be asked before the first search.
    """

    name: str
    accelerator: type[Any]
    refused: Mapping[str, str] = {}
    demo_space: str = "digits"
    has_losses: bool = False

    def of_implementation(self, implementation: Implementation) -> "Template":
        """Return the template for an implementation of the engine; one that is not of the engine stays as it is."""
        del implementation
        return self

    @abstractmethod
    def space(self, board: Board) -> DesignSpace:
        """Return the accelerators that a search may choose from on ``board``."""

    @abstractmethod
    def problem(self, joint: JointSpace[Any], coefficients: str, losses: Mapping[str, float]) -> Problem:
        """Return the prices of pairs, which of them fit the board, and how a search proposes new ones.

        Args:
            joint: subnets, and accelerators of :meth:`space`.
            coefficients: name or folder of the cost model's coefficients; ``prior`` by default.
            losses: as :meth:`measure_losses` measured them.

        Raises:
            InvalidValueError: no such coefficients, or of another board.
            UnsupportedLayerError: the template cannot run the subnets; names a layer and says why.
        """

    @abstractmethod
    def describe(self, accelerator: Any) -> str:
        """Return the parameters of an accelerator in one line."""

    @abstractmethod
    def emit(self, chosen: ChosenPair, update: Update) -> EmittedProject:
        """Quantise the subnet of a pair and write its project.

        Raises:
            ToolError: a tool is missing or fails.
            ResourceError: the pair does not fit the board.
        """

    @abstractmethod
    def simulate(self, run: Run, simulation: Simulation, update: Update) -> CsimRecord:
        """Run test images through the emitted project and compare the results with the integer reference.

        Raises:
            StorageError: nothing is emitted yet, or it is damaged.
            ToolError: a tool is missing or fails.
            VerificationError: the results differ by more than the project's arithmetic allows.
        """

    @abstractmethod
    def report(self, emitted: EmittedPair) -> ReportPart:
        """Return sections and pictures on the layers and the resources of an emitted pair."""

    def checks(self, run: Run) -> Sequence[Check]:
        """Return what can be checked of the run's project without a board or a vendor's tools; here, its simulation.

        Raises:
            StorageError: nothing is emitted yet, or the project is not as it was emitted.
        """

        def find(update: Update) -> Finding:
            record = self.simulate(run, Simulation(), update)
            text = f"{record.images} test images: {record.same_class:.1%} of equal class, largest difference of a logit"
            return Finding(
                True,
                f"{text} {record.largest_difference:g} (allowed: {record.tolerance:g})",
                {"images": record.images, "largest_difference": record.largest_difference},
            )

        return (Check("simulation", "all test images run through the project, beside the integer reference", find),)

    def require_tools(self) -> None:
        """Check that what :meth:`emit` needs is installed.

        Raises:
            ToolError: it is not; says how to install it.
        """
        return

    def measure_losses(self, trained: Trained) -> dict[str, float]:
        """Measure the accuracy (0..1) that the template's arithmetic costs, by a name such as ``8 bits``."""
        del trained
        return {}

    def datasheet(self, emitted: EmittedPair) -> Datasheet:
        """Return what a comparison with another template shows."""
        return Datasheet(self.describe(emitted.pair.accelerator), price_figures(emitted.problem, emitted.pair))


@one_thread()
def quantise_subnet(
    trained: Trained,
    subnet: Subnet,
    split: Split,
    grid: Grid = INT8,
    compute: Callable[[QuantisedNetwork, Int8Array], Int8Array] = run_integer,
) -> QuantisedSubnet:
    """Return a subnet of a trained supernet in the numbers of ``grid``, with its accuracies on a part of the data.

    Args:
        trained: the supernet.
        subnet: the subnet.
        split: the part of the data.
        grid: the numbers.
        compute: the hardware's results for a network and images, as :func:`run_integer` takes and returns them.
    """
    calibration = trained.data.resized(Split.TRAIN, subnet.resolution)[:CALIBRATION_IMAGES]
    weights = fold(trained.checkpoint.supernet(), subnet, calibration)
    network, steps = quantise_on(grid, lower(trained.space, subnet), weights, calibration.numpy())
    images = quantise_image(network, trained.data.resized(split, subnet.resolution).numpy(), grid.bits)
    right = compute(network, images).argmax(axis=1) == trained.data.labels[split].numpy()
    measured = MeasuredAccuracy(trained.checkpoint, trained.data, split=split)
    float32 = measured.accuracy(trained.space.encode(subnet)[None])
    return QuantisedSubnet(
        network=network, steps=steps, images=images, float32=float(float32[0]), quantised=float(right.mean())
    )


def datasheet(emitted: EmittedPair, description: str, *, bits: int, interval_ms: float, subnets: str) -> Datasheet:
    """Return the comparison's side of a pair, whose accelerator has a clock.

    Args:
        emitted: the pair.
        description: of the accelerator, to follow "on".
        bits: of weights and maps.
        interval_ms: predicted time between images that follow each other.
        subnets: which ones a bitstream runs.
    """
    figures = price_figures(emitted.problem, emitted.pair)
    return Datasheet(
        description,
        {
            "clock": f"{emitted.pair.accelerator.clock_mhz} MHz",
            "weights and maps": f"{bits} bits",
            "latency, predicted": figures["latency, predicted"],
            "between images, predicted": f"{interval_ms:.4f} ms",
            **figures,
            "subnets a bitstream runs": subnets,
        },
    )


def price_figures(problem: Problem, pair: Pair) -> dict[str, str]:
    """Return predicted latency, energy and resources of a pair as text, by the names that a datasheet shows."""
    estimate, board = problem.estimate(pair), problem.joint.board
    return {
        "latency, predicted": f"{estimate.latency_ms:.4f} ms",
        "energy, predicted": f"{estimate.energy_mj:.4f} mJ",
        **{
            f"{title}, predicted": f"{getattr(estimate.resources, name):,}"
            for name, title in RESOURCE_NAMES.items()
            if getattr(board, name)
        },
    }


def refuse(template: Template, request: Any) -> None:
    """Refuse options that a template does not take, where they are not left at their defaults.

    Raises:
        InvalidValueError: names the option and says why.
    """
    for option in fields(request):
        if getattr(request, option.name) != option.default:
            refuse_option(template, option.name)


def refuse_option(template: Template, option: str) -> None:
    """Refuse an option that is given where a template does not take it.

    Raises:
        InvalidValueError: names the option and says why.
    """
    if option in template.refused:
        reason = template.refused[option]
        raise InvalidValueError(option, "given", f"left out with --template {template.name}: {reason}")
