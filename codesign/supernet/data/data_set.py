"""Images to train and judge on, in three parts; scikit-learn's handwritten digits."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codesign.supernet.data.augmentation import Changes, change
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InvalidValueError

Indices = IntArray


class Split(StrEnum):
    """Part of a data set: weights see TRAIN, choices see VALIDATION, final figures see TEST, once."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Images(Protocol):
    """The images of one part; they need not be in memory, nor of one size."""

    @property
    def labels(self) -> Tensor:
        """Int64 [n]."""

    @property
    def channels(self) -> int:
        """Channels of every image."""

    def resized(self, rows: Tensor, resolution: int) -> Tensor:
        """Float32 images [m, channels, resolution, resolution] of 0 to 1: the chosen ones, as squares."""

    def changed(self, rows: Tensor, changes: Changes, resolution: int) -> Tensor:
        """Return the same, with these random changes."""


@dataclass(frozen=True)
class StoredImages:
    """Images of one size in memory.

    Attributes:
        pixels: [n, channels, height, width]: float32 of 0 to 1, or uint8 of 0 to 255.
        labels: int64 [n].
    """

    pixels: Tensor
    labels: Tensor

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return self.pixels.shape[1]

    def _chosen(self, rows: Tensor) -> Tensor:
        pixels = self.pixels[rows]
        return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels

    def resized(self, rows: Tensor, resolution: int) -> Tensor:
        """Return the chosen images as squares, float32 of 0 to 1, by bilinear interpolation."""
        size = (resolution, resolution)
        return functional.interpolate(self._chosen(rows), size, mode="bilinear", align_corners=False)

    def changed(self, rows: Tensor, changes: Changes, resolution: int) -> Tensor:
        """Return the chosen images as squares with these random changes, float32 of 0 to 1."""
        return change(self._chosen(rows), changes, resolution)


@dataclass(frozen=True)
class ChosenImages:
    """Some of a larger number of images.

    Attributes:
        images: all of them.
        rows: int64 [n] which of them, and in what order.
    """

    images: Images
    rows: Tensor

    @cached_property
    def labels(self) -> Tensor:
        """Int64 [n]."""
        return self.images.labels[self.rows]

    @property
    def channels(self) -> int:
        """Channels of every image."""
        return self.images.channels

    def resized(self, rows: Tensor, resolution: int) -> Tensor:
        """Return the chosen images as squares [m, channels, resolution, resolution], float32 of 0 to 1."""
        return self.images.resized(self.rows[rows], resolution)

    def changed(self, rows: Tensor, changes: Changes, resolution: int) -> Tensor:
        """Return the chosen images as squares with these random changes, float32 of 0 to 1."""
        return self.images.changed(self.rows[rows], changes, resolution)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Images and labels in three parts.

    Attributes:
        name: for messages.
        images: of each part.
        classes: how many there are.
        mean, deviation: of the training pixels, one a channel; what images are normalised by.
    """

    name: str
    images: Mapping[Split, Images]
    classes: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @property
    def labels(self) -> Mapping[Split, Tensor]:
        """Int64 [n] for each part."""
        return {split: images.labels for split, images in self.images.items()}

    def normalise(self, images: Tensor) -> Tensor:
        """Images of 0 to 1 as the networks take them."""
        shape = (1, -1, 1, 1)
        return (images - torch.tensor(self.mean).view(shape)) / torch.tensor(self.deviation).view(shape)

    def resized(self, split: Split, resolution: int, rows: slice = slice(None)) -> Tensor:
        """Normalised images [n, channels, resolution, resolution] of a part, or of some rows of it.

        Raises:
            InvalidValueError: the resolution is not positive.
        """
        if resolution < 1:
            raise InvalidValueError("resolution", resolution, "at least 1")
        images = self.images[split]
        return self.normalise(images.resized(torch.arange(len(images.labels))[rows], resolution))

    def first(self, counts: Mapping[Split, int]) -> "DataSet":
        """Return the data set with only the first ``counts`` images of some parts."""
        images = {
            split: ChosenImages(part, torch.arange(min(counts.get(split, len(part.labels)), len(part.labels))))
            for split, part in self.images.items()
        }
        return DataSet(name=self.name, images=images, classes=self.classes, mean=self.mean, deviation=self.deviation)


def stratified(labels: Indices, fractions: tuple[float, ...], seed: int) -> list[Indices]:
    """Return indices of as many parts as ``fractions``, each with every class in proportion, in random order."""
    rng = np.random.default_rng(seed)
    parts: list[list[Indices]] = [[] for _ in fractions]
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        ends = np.rint(np.cumsum(fractions) * len(members)).astype(int)
        for part, chosen in zip(parts, np.split(members, ends[:-1]), strict=True):
            part.append(chosen)
    return [rng.permutation(np.concatenate(part)) for part in parts]


def load_digits() -> DataSet:
    """1,797 digits of 8x8 pixels (Alpaydin and Kaynak 1998, as scikit-learn has them), split 60 / 20 / 20.

    The split is stratified and always the same.
    """
    from sklearn import datasets

    raw = datasets.load_digits()
    images = torch.from_numpy(raw.images.astype(np.float32) / 16)[:, None]
    labels = torch.from_numpy(raw.target.astype(np.int64))
    parts = dict(zip(Split, stratified(raw.target, (0.6, 0.2, 0.2), seed=0), strict=True))
    train = images[parts[Split.TRAIN]]
    return DataSet(
        name="digits",
        images={split: StoredImages(images[part], labels[part]) for split, part in parts.items()},
        classes=10,
        mean=(float(train.mean()),),
        deviation=(float(train.std()),),
    )
