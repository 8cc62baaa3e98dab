"""The pictures of runs and calibrations, each a function from values to a matplotlib figure."""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from codesign.report.left_out import LeftOutRows
from cost_models.calibration.fit import Widths
from cost_models.closed_form.estimate import Estimate
from cost_models.resources import RESOURCES, Resources
from hw_templates.board import Board
from hw_templates.foundation.arrays import FloatArray

# Colour-blind safe (Okabe and Ito 2008).
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
_COLOURS = (BLUE, RED, GREEN, ORANGE, "#CC79A7", "#56B4E9", GREY)
_METHOD_STYLES = {"random": (GREY, "s"), "sequential": (ORANGE, "^"), "joint": (BLUE, "o")}
_BOUND_COLOURS = {"compute": BLUE, "ddr": ORANGE, "overhead": GREY}
_OVERHEAD = "#BBBBBB"
_MOST_ROWS = 70


def plot(width: float, height: float, xlabel: str, ylabel: str = "") -> tuple[Figure, Axes]:
    """Return a figure of a size in inches, and the one plot that fills it."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(subplot_kw={"xlabel": xlabel, "ylabel": ylabel})


def front_figure(
    fronts: Mapping[str, FloatArray], measured: FloatArray, winner: tuple[float, float, float], rule: str
) -> Figure:
    """Pareto fronts, accuracy against latency and against energy.

    Args:
        fronts: method to its front [n, 3] of predicted accuracy (0 to 1), latency_ms, energy_mj.
        measured: [n, 3] what is left of the joint front once its accuracies are measured.
        winner: [3] the pair that was chosen, with its measured accuracy.
        rule: by which it was chosen, for the legend.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    star = textwrap.fill(f"winner: {rule}", 28)
    labels = "latency / ms", "energy / mJ"
    for axes, column, label in zip(figure.subplots(1, 2, sharey=True), (1, 2), labels, strict=True):
        for method, front in fronts.items():
            colour, marker = _METHOD_STYLES[method]
            axes.plot(front[:, column], 100 * front[:, 0], marker, color=colour, markersize=4, alpha=0.45, mew=0)
            x, y = staircase(front[:, column], 100 * front[:, 0])
            axes.plot(x, y, "-", color=colour, linewidth=1.4, label=f"{method}, predicted")
        axes.plot(measured[:, column], 100 * measured[:, 0], "D", color=GREEN, markersize=5, label="joint, measured")
        axes.plot(winner[column], 100 * winner[0], "*", color=RED, markersize=15, mec="white", label=star, zorder=5)
        axes.set(xscale="log", xlabel=f"{label} (predicted by the cost model)")
        label_decades(axes.xaxis)
        axes.grid(alpha=0.3, which="both")
    figure.axes[0].set_ylabel("validation accuracy / %")
    figure.axes[0].legend(loc="lower right", framealpha=0.9)
    return figure


def label_decades(axis: Axis) -> None:
    """Plain numbers at 1, 1.5, 2, 3, 5 and 7 of each decade of a logarithmic axis."""
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def staircase(cost: FloatArray, gain: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The best gain at most at each cost, as the corners of steps."""
    order = np.lexsort((-gain, cost))
    best = np.maximum.accumulate(gain[order])
    rises = np.concatenate([[True], np.diff(best) > 0])
    return np.repeat(cost[order][rises], 2)[1:], np.repeat(best[rises], 2)[:-1]


def layers_figure(estimate: Estimate) -> Figure:
    """Cycles of each layer, coloured by what bounds it, and the bytes it moves."""
    layers = estimate.layers
    rows = np.arange(len(layers))
    figure = Figure(figsize=(10, 1.2 + 0.21 * len(layers)), layout="constrained")
    cycles, data = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for bound, colour in _BOUND_COLOURS.items():
        bars = [layer.latency_cycles if layer.bound == bound else 0 for layer in layers]
        cycles.barh(rows, bars, color=colour, height=0.75, label=f"bound by {bound}")
    compute = [layer.compute_cycles for layer in layers]
    cycles.plot(compute, rows, "|", color="black", markersize=8, label="iterations of the compute loop")
    figure.legend(loc="outside upper center", ncols=4, fontsize=8)
    cycles.set_yticks(rows, [layer.name for layer in layers], fontsize=7)
    cycles.set(xlabel="cycles (predicted)", ylim=(len(layers) - 0.4, -0.6))
    data.barh(rows, [layer.ddr_bytes / 1024 for layer in layers], color=GREEN, height=0.75)
    data.set_xlabel("DDR traffic / KiB")
    for axes in (cycles, data):
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
    return figure


def resources_figure(needs: Resources, board: Board) -> Figure:
    """Draw the needs of the accelerator for each resource, as shares of what the board has."""
    counts = {name: (getattr(needs, name), available) for name in RESOURCES if (available := getattr(board, name))}
    shares = [100 * used / available for used, available in counts.values()]
    figure, axes = plot(7, 0.9 + 0.42 * len(counts), f"% of {board.title} (estimated)")
    axes.barh(list(counts), shares, color=BLUE, height=0.6)
    axes.axvline(100, color=RED, linewidth=1.2)
    for row, ((used, available), share) in enumerate(zip(counts.values(), shares, strict=True)):
        place, side, colour = (share - 1, "right", "white") if share > 55 else (share + 1, "left", "black")
        axes.text(place, row, f"{used:,.0f} of {available:,.0f}", va="center", ha=side, color=colour, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 105)
    return figure


def training_figure(losses: Sequence[float], phases: Sequence[tuple[str, int]]) -> Figure:
    """Training loss over steps, with the phases of progressive shrinking.

    Args:
        losses: one a step.
        phases: (name, first step) in order.
    """
    figure, axes = plot(8, 3.2, "step", "loss")
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color=BLUE, alpha=0.25, linewidth=0.8)
    window = max(1, len(losses) // 60)
    smooth = np.convolve(losses, np.ones(window) / window, mode="valid")
    axes.plot(steps[window - 1 :], smooth, color=BLUE, linewidth=1.6)
    axes.set_yscale("log")
    label_decades(axes.yaxis)
    for index, (name, first) in enumerate(phases):
        axes.axvline(first, color=GREY, linewidth=0.8, linestyle="--" if index else "-")
        # Short phases follow each other closely: every other name stands lower.
        height = 0.97 - 0.07 * (index % 2)
        axes.annotate(f" {name}", (first, height), xycoords=("data", "axes fraction"), fontsize=8, va="top")
    axes.grid(alpha=0.3)
    return figure


def predictor_figure(measured: FloatArray, predicted: FloatArray, kendall_tau: float) -> Figure:
    """Predicted against measured accuracy of subnets that the predictor was not fitted on."""
    figure, axes = plot(4.2, 4, "measured accuracy / %", "predicted accuracy / %")
    axes.plot(100 * measured, 100 * predicted, "o", color=BLUE, markersize=4, alpha=0.6, mew=0)
    low, high = 100 * min(measured.min(), predicted.min()), 100 * max(measured.max(), predicted.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=1)
    axes.set_title(f"left-out subnets, Kendall tau {kendall_tau:.2f}", fontsize=10)
    axes.grid(alpha=0.3)
    return figure


def prediction_figure(rows: LeftOutRows, widths: Widths) -> Figure:
    """Draw predicted against measured latency of left-out runs; bars are intervals of the campaign's width."""
    figure, axes = plot(6.4, 5.6, "measured latency / ms", "predicted latency / ms, left out")
    factor = np.exp(np.array([widths.of(campaign) for campaign in rows.campaigns]) * rows.deviations)
    for colour, campaign in zip(cycle(_COLOURS), dict.fromkeys(rows.campaigns), strict=False):
        own = np.array(rows.campaigns) == campaign
        predicted = rows.predicted_ms[own]
        bars = np.stack([predicted - predicted / factor[own], predicted * factor[own] - predicted])
        axes.errorbar(
            rows.measured_ms[own], predicted, bars, fmt="o", color=colour, markersize=4, elinewidth=1, alpha=0.8,
            label=f"{campaign} ({own.sum()})",
        )  # fmt: skip
    low = 0.85 * min(rows.measured_ms.min(), rows.predicted_ms.min())
    high = 1.15 * max(rows.measured_ms.max(), rows.predicted_ms.max())
    axes.plot([low, high], [low, high], color=GREY, linewidth=1)
    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        label_decades(axis)
    axes.legend(fontsize=8, loc="upper left")
    axes.grid(alpha=0.3, which="both")
    return figure


def residual_figure(rows: LeftOutRows) -> Figure:
    """Draw errors of left-out runs by the kind of layer, each run a dot, with the median of the kind."""
    kinds = sorted(set(rows.kinds))
    figure, axes = plot(7, 1.3 + 0.45 * len(kinds), "error of the prediction / % (line: median; band: 10 %)")
    rng = np.random.default_rng(0)
    for place, kind in enumerate(kinds):
        errors = 100 * rows.errors[np.array(rows.kinds) == kind]
        heights = place + rng.uniform(-0.22, 0.22, len(errors))
        axes.plot(errors, heights, "o", color=BLUE, markersize=4.5, alpha=0.6, mew=0)
        axes.plot([np.median(errors)] * 2, [place - 0.33, place + 0.33], color=RED, linewidth=2)
    axes.axvspan(-10, 10, color=GREY, alpha=0.15, linewidth=0)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(range(len(kinds)), [f"{kind} ({rows.kinds.count(kind)})" for kind in kinds])
    axes.set_ylim(len(kinds) - 0.5, -0.5)
    axes.grid(alpha=0.3, axis="x")
    return figure


def coverage_figure(rows: LeftOutRows) -> Figure:
    """Draw the share of left-out runs that intervals cover, against the share that they are made for."""
    levels = np.arange(0.5, 0.96, 0.05)
    figure, axes = plot(4.4, 4, "intended coverage / %", "left-out runs inside / %")
    axes.plot(100 * levels, 100 * levels, color=GREY, linewidth=1)
    axes.plot(100 * levels, [100 * rows.inside(level).mean() for level in levels], "o-", color=BLUE, markersize=4)
    axes.set_ylim(40, 102)
    axes.grid(alpha=0.3)
    return figure


def bounds_figure(rows: LeftOutRows) -> Figure:
    """Draw the shares of each kind of term in the time of runs, the slowest ones where there are many."""
    order = np.argsort(-rows.measured_ms)[:_MOST_ROWS]
    figure, axes = plot(9, 1.4 + 0.19 * len(order), "visible share of the predicted time / %")
    left = np.zeros(len(order))
    kinds = sorted(rows.shares, key=lambda kind: kind == "overhead")
    for colour, kind in zip(cycle(_COLOURS), kinds, strict=False):
        share, colour = rows.shares[kind], _OVERHEAD if kind == "overhead" else colour
        axes.barh(range(len(order)), 100 * share[order], left=left, color=colour, height=0.8, label=kind)
        left += 100 * share[order]
    axes.set_yticks(range(len(order)), [rows.labels[index] for index in order], fontsize=7)
    axes.set(xlim=(0, 100), ylim=(len(order) - 0.4, -0.6))
    figure.legend(loc="outside upper center", ncols=len(rows.shares), fontsize=8)
    return figure
