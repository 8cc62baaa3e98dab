"""The page and the picture that ``specialised.py`` makes of what it found."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from codesign.report.figures import BLUE, GREY, ORANGE, RED, label_decades, staircase
from codesign.search.joint_space import Pair
from codesign.supernet.published.specialised import SpecialisedNet
from codesign.supernet.spaces.mobile import MobileSubnet
from codesign.supernet.spaces.space import Subnet
from hw_templates.board import Board
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.atomic_file import write_bytes_atomically, write_text_atomically

DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Choice:
    """A pair and what it is predicted to reach.

    Attributes:
        name: of the published network, or "joint".
        macs: of one inference.
        resources: name to what the accelerator needs.
    """

    name: str
    pair: Pair
    macs: int
    accuracy: float
    latency_ms: float
    energy_mj: float
    resources: dict[str, int]


@dataclass(frozen=True)
class Cell:
    """One board and latency limit.

    Attributes:
        limit_ms: on the latency of both.
        joint, published: what stands for either side.
        everywhere: whether a joint pair dominates the published network on each accelerator that suits it at all.
    """

    limit_ms: float
    joint: Choice
    published: Choice
    everywhere: bool

    @property
    def dominated(self) -> bool:
        """Whether the joint pair is at least as good in all three, and better in one."""
        ours = (-self.joint.accuracy, self.joint.latency_ms, self.joint.energy_mj)
        theirs = (-self.published.accuracy, self.published.latency_ms, self.published.energy_mj)
        return ours != theirs and all(one <= other for one, other in zip(ours, theirs, strict=True))


@dataclass(frozen=True)
class Costs:
    """What a search took.

    Attributes:
        cpu_s, wall_s: seconds of one process, and on the clock.
        pairs, accelerators: priced.
    """

    cpu_s: float
    wall_s: float
    pairs: int
    accelerators: int


@dataclass(frozen=True)
class BoardFindings:
    """One board; ``front`` [n, 3] and ``fastest`` [nets, 3] are accuracy, latency_ms and energy_mj."""

    board: Board
    cells: list[Cell]
    front: FloatArray
    fastest: FloatArray
    costs: Costs
    published_costs: Costs


@dataclass(frozen=True)
class Page:
    """All that the page shows.

    Attributes:
        findings: of each board.
        nets: the published networks, each with the subnet that it is read as, in the order of ``fastest``.
        oracle_s: seconds to load that predictor, which is done once for all boards.
        commands: command lines and what they printed.
    """

    findings: list[BoardFindings]
    nets: Sequence[tuple[SpecialisedNet, Subnet]]
    oracle_s: float
    commands: list[str]


def write_page(path: Path, page: Page) -> None:
    """Write the page, and its picture beside it."""
    picture = path.with_suffix(".png")
    buffer = io.BytesIO()
    fronts_figure(page.findings).savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    write_bytes_atomically(picture, buffer.getvalue())
    write_text_atomically(path, _text(page, picture.name))


def fronts_figure(findings: list[BoardFindings]) -> Figure:
    """One panel a board: the joint front, the published networks, and what stands in the cells."""
    rows = -(-len(findings) // 2)
    figure = Figure(figsize=(10, 0.6 + 3.6 * rows), layout="constrained")
    panels = figure.subplots(rows, min(2, len(findings)), squeeze=False, sharey=True).ravel()
    for axes, one in zip(panels, findings, strict=False):
        latency_ms, accuracy = one.front[:, 1], 100 * one.front[:, 0]
        axes.plot(latency_ms, accuracy, "o", color=BLUE, markersize=3, alpha=0.3, mew=0)
        axes.plot(*staircase(latency_ms, accuracy), "-", color=BLUE, linewidth=1.4, label="joint front")
        published = (one.fastest[:, 1], 100 * one.fastest[:, 0])
        axes.plot(*published, "s", color=ORANGE, markersize=5, label="published networks, fastest accelerator of each")
        for index, cell in enumerate(one.cells):
            label = None if index else "joint pair of a cell"
            mark = {"color": RED, "markersize": 13, "mec": "white", "zorder": 5, "label": label}
            axes.plot(cell.joint.latency_ms, 100 * cell.joint.accuracy, "*", **mark)
            axes.axvline(cell.limit_ms, color=GREY, linewidth=0.9, linestyle="--", label=None if index else "limit")
        axes.set_xscale("log")
        axes.set_xlim(one.fastest[:, 1].min() / 2, one.fastest[:, 1].max() * 1.5)
        label_decades(axes.xaxis)
        axes.set_ylim(bottom=79)
        axes.set_title(one.board.title, fontsize=10)
        axes.grid(alpha=0.3)
        axes.set_xlabel("latency / ms (predicted)")
    for axes in panels[:: min(2, len(findings))]:
        axes.set_ylabel("accuracy / % (predicted)")
    for axes in panels[len(findings) :]:
        axes.set_visible(False)
    panels[0].legend(loc="lower right", fontsize=8, framealpha=0.9)
    return figure


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; the first column to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (headings, rule, *rows))


def blocks_of(subnet: MobileSubnet) -> str:
    """Kernel x expansion of each block, stages between bars."""
    return " / ".join(" ".join(f"{block.kernel}x{block.expand}" for block in stage) for stage in subnet.stages)


def _cells(one: BoardFindings) -> str:
    rows = []
    for cell in one.cells:
        for choice in (cell.joint, cell.published):
            a, needs, ours = choice.pair.accelerator, choice.resources, choice is cell.joint
            verdict = ("dominates" if cell.dominated else "does not dominate") if ours else ""
            rows.append(
                (
                    f"{cell.limit_ms:g} ms" if ours else "",
                    choice.name,
                    f"{100 * choice.accuracy:.2f}",
                    f"{choice.latency_ms:.2f}",
                    f"{choice.energy_mj:.1f}",
                    f"{choice.macs / 1e6:.0f}",
                    f"{a.pe_rows}x{a.pe_cols}x{a.pe_pixels}, {a.clock_mhz} MHz",
                    *(f"{needs[name]:,}" for name in ("dsp", "bram_18k", "uram", "lut", "ff")),
                    verdict,
                )
            )
    headings = (
        "limit",
        "pair",
        "accuracy %",
        "ms",
        "mJ",
        "M MACs",
        "PEs, clock",
        "DSP",
        "BRAM18",
        "URAM",
        "LUT",
        "FF",
        "",
    )
    board = one.board
    has = f"{board.dsp:,} DSP, {board.bram_18k:,} BRAM18, {board.uram:,} URAM, {board.lut:,} LUT, {board.ff:,} FF"
    return f"### {board.title}\n\n{table(headings, rows)}\n\nThe device has {has}."


def _nets(page: Page) -> str:
    accuracies = page.findings[0].fastest[:, 0]
    rows = [
        (net.short, f"{net.subnet.resolution}", f"{subnet.resolution}", f"{net.top1}", f"{100 * accuracy:.2f}")
        for (net, subnet), accuracy in zip(page.nets, accuracies, strict=True)
    ]
    return table(("network", "published at", "read at", "reported top-1 %", "predictor's accuracy %"), rows)


def _times(page: Page) -> str:
    rows, total = [], 0.0
    for number, one in enumerate(page.findings, start=1):
        total += one.costs.cpu_s
        rows.append(
            (
                f"{number}. {one.board.name}",
                "0",
                "0" if number > 1 else f"{page.oracle_s:.2f}",
                f"{one.costs.cpu_s:.0f}",
                f"{one.costs.pairs:,}",
                f"{one.costs.accelerators:,}",
                f"{total + page.oracle_s:.0f}",
            )
        )
    return table(
        ("board", "supernet s", "predictor s", "search s", "pairs", "accelerators", "all boards so far s"), rows
    )


def _pairs(page: Page) -> str:
    lines = []
    for one in page.findings:
        for cell in one.cells:
            pair = cell.joint.pair
            values = ", ".join(f"{name} {value}" for name, value in pair.accelerator.as_dict().items())
            subnet = f"{pair.subnet.resolution} px, {blocks_of(pair.subnet)}"
            lines.append(f"- {one.board.name}, {cell.limit_ms:g} ms: {subnet}; {values}")
    return "\n".join(lines)


def _text(page: Page, picture: str) -> str:
    cells = [cell for one in page.findings for cell in one.cells]
    dominated, everywhere = sum(cell.dominated for cell in cells), sum(cell.everywhere for cell in cells)
    gains = [100 * (cell.joint.accuracy - cell.published.accuracy) for cell in cells]
    least = min(one.published_costs.accelerators / one.costs.accelerators for one in page.findings)
    boards = "\n\n".join(_cells(one) for one in page.findings)
    commands = "\n".join(f"    {line}" for line in page.commands)
    return f"""# Specialised pairs beside the published specialised networks

Made by `python benchmarks/specialised.py`. **Everything here is predicted**: accuracy by the published predictor of Cai
et al. 2020, latency and energy by the cost model with prior coefficients that are fitted to no board, LUT and FF by
estimates; DSP slices and block memories follow from the C++. Only times are measured. The predictor was fitted to a
held-out part of ImageNet's training set, so its accuracies lie above those on the validation set and rank networks
rather than state their top-1. A search that maximises it also finds its errors; part of the gains below may be such.
The published networks were specialised for phones and for few operations, not for these boards.

In **{dominated} of {len(cells)}** cells the joint pair dominates: no worse in accuracy, latency and energy, and better
in at least one. Its accuracy differs by {np.mean(gains):+.2f} points on average, and by {min(gains):+.2f} at worst. In
{everywhere} of {len(cells)} cells, joint pairs dominate the published network on every accelerator that may suit it: on
each of those tried that is not worse than another in both latency and energy.

![Joint fronts and published networks, one panel a board]({picture})

## The cells

Ten specialised networks of width 1.2 were published. Each is read as a subnet of the same supernet, at the nearest
resolution that the predictor knows, and gets accelerators of its own: at least {least:.2f} times as many as the joint
search priced, bred for the ten by the same operators, and those of the joint front besides. Each is taken on its
fastest accelerator; of those that no other of the ten beats in both latency and accuracy, the least, middle and largest
latency, rounded up to two digits, are the board's limits. In a cell stands the most accurate of the ten within the
limit, and the most accurate pair of the joint front that takes neither more time nor more energy than that.

{boards}

## The published networks

{_nets(page)}

Reported accuracies are of the fine-tuned networks at their published resolution, by their authors.

## What one more board costs

The supernet and its predictor are the published ones; with a supernet trained here, they come from the run folder, and
so do the accuracies measured so far. One more board adds its own search and nothing else. Processor seconds of one
process on a machine with two x86-64 cores:

{_times(page)}

## The commands

{commands}

## The joint pairs

Kernel x expansion of each block, stages between bars; then the accelerator.

{_pairs(page)}
"""
