"""Accuracy measured with the shared weights, each subnet once and remembered on disk."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from codesign.supernet.data.data_set import DataSet, Split
from codesign.supernet.network.subnets import evaluate, recalibrate
from codesign.supernet.network.supernet import Supernet
from codesign.supernet.spaces.space import Genes
from codesign.supernet.training.checkpoint import Checkpoint
from codesign.supernet.training.processes import best_device, one_thread
from hw_templates.foundation.arrays import FloatArray
from hw_templates.foundation.errors import InvalidValueError
from hw_templates.foundation.json_lines import append_lines
from hw_templates.foundation.json_records import Record, parse_json, reading, record_line

CALIBRATION_IMAGES = 256
_BATCH_IMAGES = 500
_KEPT_BYTES = 2**30


@dataclass(frozen=True, kw_only=True)
class _Entry(Record):
    """One line of the file of results."""

    checkpoint: str
    data: str
    split: str
    calibration_images: int
    genes: tuple[int, ...]
    accuracy: Annotated[float, Meta(ge=0, le=1)]


def _recorded(path: Path, key: _Entry) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield genes and accuracies that a file holds of the checkpoint, data, split and calibration of ``key``.

    A line that is cut off or damaged, or whose accuracy cannot be, is a result to be measured again.
    """
    with reading(path, "change its permissions"):
        for line in path.read_bytes().split(b"\n"):
            with suppress(InvalidValueError):
                entry = parse_json(line, _Entry, "accuracy")
                if replace(entry, genes=(), accuracy=0.0) == key:
                    yield entry.genes, entry.accuracy


def _name_of(data: DataSet) -> str:
    """Name of a data set, with 8 hexadecimal digits of its labels and of the statistics of its pixels."""
    content = hashlib.sha256(json.dumps([data.mean, data.deviation]).encode())
    for split in Split:
        content.update(data.labels[split].numpy().tobytes())
    return f"{data.name}-{content.hexdigest()[:8]}"


class MeasuredAccuracy:
    """Measures subnets with the shared weights, batch-norm statistics recalibrated for each.

    Args:
        checkpoint: the weights.
        data: statistics come from the first training images, accuracy from ``split``.
        split: the part to judge on.
        cache: JSONL file of results, shared by any number of checkpoints, data sets and processes; None remembers in
            memory only.

    Raises:
        StorageError: the cache cannot be read (or, on a measurement, written).
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        data: DataSet,
        split: Split = Split.VALIDATION,
        cache: Path | None = None,
    ) -> None:
        self.space, self.split = checkpoint.space, split
        self._checkpoint, self._data, self._path = checkpoint, data, cache
        self._kept: dict[int, list[Tensor]] = {}
        self._key = _Entry(
            checkpoint=checkpoint.digest,
            data=_name_of(data),
            split=split.value,
            calibration_images=min(CALIBRATION_IMAGES, len(data.labels[Split.TRAIN])),
            genes=(),
            accuracy=0.0,
        )
        self._known = dict(_recorded(cache, self._key)) if cache is not None and cache.exists() else {}

    @one_thread()
    def accuracy(self, genes: Genes) -> FloatArray:
        """Return [n] accuracies, 0 to 1, of the subnets of genotypes [n, G].

        Raises:
            InvalidValueError: they are not genotypes of the checkpoint's space.
        """
        subnets = self._subnets(genes)
        for subnet in subnets:
            if subnet not in self._known:
                accuracy = self._measure(np.array(subnet, dtype=np.int64))
                self._known[subnet] = accuracy
                if self._path is not None:
                    append_lines(self._path, [record_line(replace(self._key, genes=subnet, accuracy=accuracy))])
        return np.array([self._known[subnet] for subnet in subnets], dtype=np.float64)

    def knows(self, genes: Genes) -> bool:
        """Say whether all genotypes [n, G] were measured before; measures none.

        Raises:
            InvalidValueError: they are not genotypes of the checkpoint's space.
        """
        return self._known.keys() >= set(self._subnets(genes))

    def _subnets(self, genes: Genes) -> list[tuple[int, ...]]:
        """Return genotypes [n, G] as equal subnets have them."""
        self.space.check_genes(genes)
        return [tuple(row) for row in self.space.canonical(genes).tolist()]

    @cached_property
    def _supernet(self) -> Supernet:
        """The weights, where they are measured; who only asks for what is recorded need not wait for them."""
        return self._checkpoint.supernet().to(best_device())

    def _batches(self, resolution: int) -> Iterable[Tensor]:
        """Calibration images, then those to judge on; kept in memory where all resolutions together are small."""
        if resolution in self._kept:
            return self._kept[resolution]
        count = len(self._data.labels[self.split])
        parts = [(Split.TRAIN, slice(self._key.calibration_images))]
        parts += [(self.split, slice(start, start + _BATCH_IMAGES)) for start in range(0, count, _BATCH_IMAGES)]
        batches = (self._data.resized(split, resolution, rows).to(best_device()) for split, rows in parts)
        sides = sum(side**2 for side in self.space.resolutions)
        if 4 * count * self.space.image_channels * sides > _KEPT_BYTES:
            return batches
        return self._kept.setdefault(resolution, list(batches))

    @torch.inference_mode()
    def _measure(self, row: Genes) -> float:
        subnet = self.space.decode(row)
        batches, labels = iter(self._batches(subnet.resolution)), self._data.labels[self.split]
        statistics = recalibrate(self._supernet, subnet, next(batches))
        answers = [evaluate(self._supernet, subnet, images, statistics).argmax(1).cpu() for images in batches]
        return int((torch.cat(answers) == labels).sum()) / len(labels)
