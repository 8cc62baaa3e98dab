"""What options with a fixed set of values can be; the members are listed in help and error messages."""

from enum import StrEnum

DEFAULT_TEMPLATE = "engine"
"""Name of the template whose results lie in the run folder itself; other templates have a folder in it."""
FORMER_RESULTS = {"dataflow": "hls4ml"}
"""Folders of results in a run of version 0.1.0 that are no longer read, and the templates that they are of."""


class AccuracySource(StrEnum):
    """Source of a search's accuracies: the run's predictor, its supernet, or the published predictor."""

    PREDICTOR = "predictor"
    MEASURED = "measured"
    OFFICIAL = "official"


class WinnerRule(StrEnum):
    """Rule that chooses the winner where neither its latency nor its accuracy is limited."""

    WITHIN = "within"
    KNEE = "knee"


class BuildTool(StrEnum):
    """The tools that build an emitted project: the vendor's, with or without Vitis HLS, or those that simulate it."""

    VITIS = "vitis"
    CSIM = "csim"


class NetworkFormat(StrEnum):
    """Format in which a subnet is written as a network of its own."""

    TORCH = "torch"
    ONNX = "onnx"
    OFA = "ofa"


class PublishedTable(StrEnum):
    """Published tables of latencies that can be imported as measurements."""

    VTA_TOPHUB = "vta-tophub"
    OFA_DPU = "ofa-dpu"
    MLPERF_TINY = "mlperf-tiny"
    CHAIDNN = "chaidnn"
