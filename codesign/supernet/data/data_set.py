"""Images to train and judge on, in three parts; scikit-learn's handwritten digits."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from codesign.supernet.data.augmentation import UNCHANGED, Changes, change
from hw_templates.foundation.arrays import IntArray
from hw_templates.foundation.errors import InvalidValueError


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

    def resized(self, rows: Tensor, resolution: int, changes: Changes = UNCHANGED) -> Tensor:
        """Return the chosen images, so changed: float32 [m, channels, resolution, resolution] of 0 to 1."""


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

    def resized(self, rows: Tensor, resolution: int, changes: Changes = UNCHANGED) -> Tensor:
        """Return the chosen images as squares with these changes, float32 of 0 to 1, by bilinear interpolation."""
        pixels = self.pixels[rows]
        return change(pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels, resolution, changes)


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

    def resized(self, rows: Tensor, resolution: int, changes: Changes = UNCHANGED) -> Tensor:
        """Return the chosen images as squares with these changes, float32 of 0 to 1."""
        return self.images.resized(self.rows[rows], resolution, changes)


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
        rows = {split: torch.arange(len(labels))[: counts.get(split)] for split, labels in self.labels.items()}
        return replace(self, images={split: ChosenImages(part, rows[split]) for split, part in self.images.items()})


def stratified(labels: IntArray, fractions: tuple[float, ...], seed: int) -> list[IntArray]:
    """Return indices of as many parts as ``fractions``, each with every class in proportion, in random order."""
    rng, classes = np.random.default_rng(seed), []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        ends = np.rint(np.cumsum(fractions) * len(members)).astype(int)
        classes.append(np.split(members, ends[:-1]))
    return [rng.permutation(np.concatenate(parts)) for parts in zip(*classes, strict=True)]


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
