"""The pictures of a calibration, each a function from left-out rows to a matplotlib figure."""

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from codesign.report.figures import BLUE, GREEN, GREY, ORANGE, RED, label_decades, plot
from codesign.report.left_out import LeftOutRows
from cost_models.calibration.intervals import Widths

_COLOURS = (BLUE, RED, GREEN, ORANGE, "#CC79A7", "#56B4E9", GREY)
_OVERHEAD = "#BBBBBB"
_MOST_ROWS = 70


def prediction_figure(rows: LeftOutRows, widths: Widths) -> Figure:
    """Draw predicted against measured latency of left-out runs; bars are intervals of the campaign's width."""
    figure, axes = plot(6.4, 5.6, "measured latency / ms", "predicted latency / ms, left out")
    factor = np.exp(np.array([widths.of(campaign) for campaign in rows.campaigns]) * rows.deviations)
    campaigns = np.array(rows.campaigns)
    for colour, campaign in zip(cycle(_COLOURS), dict.fromkeys(rows.campaigns), strict=False):
        own = campaigns == campaign
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
    covered = [rows.inside(level).mean() for level in levels]
    figure, axes = plot(4.4, 4, "intended coverage / %", "left-out runs inside / %")
    axes.plot(100 * levels, 100 * levels, color=GREY, linewidth=1)
    axes.plot(100 * levels, 100 * np.array(covered), "o-", color=BLUE, markersize=4)
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
