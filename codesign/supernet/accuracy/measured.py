"""Accuracy measured with the shared weights, each subnet once and remembered on disk."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from codesign.supernet.data.data_set import DataSet, Split
from codesign.supernet.network.build import evaluate, recalibrate
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
    accuracy: float

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise InvalidValueError("accuracy", self.accuracy, "in 0..1")


class _Cache:
    """Results of one checkpoint, data set, split and calibration in a file of those of any, one JSON object a line.

    A line that is cut off or damaged, or whose accuracy cannot be, is a result to be measured again.
    """

    def __init__(self, path: Path | None, key: _Entry) -> None:
        self._path = path
        self._key = key
        self._results: dict[tuple[int, ...], float] = {}
        if path is not None and path.exists():
            with reading(path, "change its permissions"):
                self._read(path.read_bytes().split(b"\n"))

    def _read(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            with suppress(InvalidValueError):
                entry = parse_json(line, _Entry, "accuracy")
                if replace(entry, genes=(), accuracy=0.0) == self._key:
                    self._results[entry.genes] = entry.accuracy

    def get(self, genes: tuple[int, ...]) -> float | None:
        return self._results.get(genes)

    def put(self, genes: tuple[int, ...], accuracy: float) -> None:
        self._results[genes] = accuracy
        if self._path is not None:
            append_lines(self._path, [record_line(replace(self._key, genes=genes, accuracy=accuracy))])


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
        calibration_images: how many training images the statistics come from; None for 256, or all of fewer.
        device: where to measure; None for a GPU where there is one.

    Raises:
        StorageError: the cache cannot be read (or, on a measurement, written).
        InvalidValueError: ``calibration_images`` is not in the data.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        data: DataSet,
        split: Split = Split.VALIDATION,
        cache: Path | None = None,
        calibration_images: int | None = None,
        device: torch.device | None = None,
    ) -> None:
        available = len(data.labels[Split.TRAIN])
        if calibration_images is None:
            calibration_images = min(CALIBRATION_IMAGES, available)
        if not 2 <= calibration_images <= available:
            raise InvalidValueError("calibration_images", calibration_images, f"in 2..{available}")
        self.space = checkpoint.space
        self.digest = checkpoint.digest
        self.split = split
        self._checkpoint, self._data, self._device = checkpoint, data, device or best_device()
        self._calibration_images = calibration_images
        self._labels = data.labels[split]
        self._kept: dict[int, list[Tensor]] = {}
        key = _Entry(
            checkpoint=self.digest,
            data=_name_of(data),
            split=split.value,
            calibration_images=calibration_images,
            genes=(),
            accuracy=0.0,
        )
        self._cache = _Cache(cache, key)

    @one_thread()
    def accuracy(self, genes: Genes) -> FloatArray:
        """Return [n] accuracies, 0 to 1, of the subnets of genotypes [n, G].

        Raises:
            InvalidValueError: they are not genotypes of the checkpoint's space.
        """
        self.space.check_genes(genes)
        accuracies = np.empty(len(genes))
        for index, row in enumerate(self.space.canonical(genes)):
            key = tuple(row.tolist())
            accuracy = self._cache.get(key)
            if accuracy is None:
                accuracy = self._measure(row)
                self._cache.put(key, accuracy)
            accuracies[index] = accuracy
        return accuracies

    def recorded(self, genes: Genes) -> FloatArray | None:
        """Return [n] accuracies, 0 to 1, of genotypes [n, G] if all were measured before; else None, measuring none.

        Raises:
            InvalidValueError: they are not genotypes of the checkpoint's space.
        """
        self.space.check_genes(genes)
        known = [self._cache.get(tuple(row)) for row in self.space.canonical(genes).tolist()]
        found = [accuracy for accuracy in known if accuracy is not None]
        return np.array(found, dtype=np.float64) if len(found) == len(known) else None

    @cached_property
    def _supernet(self) -> Supernet:
        """The weights, where they are measured; who only asks for what is recorded need not wait for them."""
        return self._checkpoint.supernet().to(self._device)

    def _batches(self, resolution: int) -> Iterator[Tensor]:
        """Yield calibration images, then those to judge on; kept in memory where all resolutions together are small."""
        if resolution in self._kept:
            yield from self._kept[resolution]
            return
        count, batches = len(self._labels), []
        sides = sum(side**2 for side in self.space.resolutions)
        keeping = 4 * count * self.space.image_channels * sides <= _KEPT_BYTES
        parts = [(Split.TRAIN, slice(self._calibration_images))]
        parts += [(self.split, slice(start, start + _BATCH_IMAGES)) for start in range(0, count, _BATCH_IMAGES)]
        for split, rows in parts:
            batch = self._data.resized(split, resolution, rows).to(self._device)
            if keeping:
                batches.append(batch)
            yield batch
        if keeping:
            self._kept[resolution] = batches

    @torch.inference_mode()
    def _measure(self, row: Genes) -> float:
        subnet = self.space.decode(row)
        batches = self._batches(subnet.resolution)
        statistics = recalibrate(self._supernet, subnet, next(batches))
        answers = [evaluate(self._supernet, subnet, images, statistics).argmax(1).cpu() for images in batches]
        return int((torch.cat(answers) == self._labels).sum()) / len(self._labels)
