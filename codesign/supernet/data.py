"""Images to train and judge on: scikit-learn's handwritten digits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from codesign.supernet.schedule import Augmentation
from hw_templates.errors import InvalidValueError

Indices = NDArray[np.int64]


class Split(StrEnum):
    """Part of a data set: weights see TRAIN, choices see VALIDATION, final figures see TEST, once."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class DataSet:
    """Images and labels in three parts.

    Attributes:
        name: for messages.
        images: float32 [n, channels, height, width] for each part, 0 to 1, at their own size.
        labels: int64 [n] for each part.
        mean, deviation: of the training pixels; what :meth:`resized` normalises by.
    """

    name: str
    images: Mapping[Split, Tensor]
    labels: Mapping[Split, Tensor]
    mean: float
    deviation: float

    def normalise(self, images: Tensor) -> Tensor:
        """Images of 0 to 1 as the networks take them."""
        return (images - self.mean) / self.deviation

    def resized(self, split: Split, resolution: int) -> Tensor:
        """Normalised images [n, channels, resolution, resolution] of a part, by bilinear interpolation.

        Raises:
            InvalidValueError: the resolution is not positive.
        """
        if resolution < 1:
            raise InvalidValueError("resolution", resolution, "at least 1")
        size = (resolution, resolution)
        resized = functional.interpolate(self.images[split], size, mode="bilinear", align_corners=False)
        return self.normalise(resized)


def _stratified(labels: Indices, fractions: tuple[float, ...], seed: int) -> list[Indices]:
    """Indices of as many parts as ``fractions``, each with every class in proportion, in random order."""
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
    parts = dict(zip(Split, _stratified(raw.target, (0.6, 0.2, 0.2), seed=0), strict=True))
    train = images[parts[Split.TRAIN]]
    return DataSet(
        name="digits",
        images={split: images[part] for split, part in parts.items()},
        labels={split: labels[part] for split, part in parts.items()},
        mean=float(train.mean()),
        deviation=float(train.std()),
    )


def augment(images: Tensor, augmentation: Augmentation, resolution: int, generator: torch.Generator) -> Tensor:
    """Images [n, C, h, w] of 0 to 1, each changed at random and resized to [n, C, resolution, resolution].

    One bilinear sampling does both; what comes from outside the image is 0.
    """
    count = len(images)
    draws = 2 * torch.rand(4, count, generator=generator) - 1
    angle = draws[0] * math.radians(augmentation.degrees)
    scale = 1 + draws[1] * augmentation.scale
    # grid_sample's image spans -1 to 1, so a shift by a part of the side is twice that.
    shift_x, shift_y = 2 * augmentation.shift * draws[2], 2 * augmentation.shift * draws[3]
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = (torch.stack([cosine, -sine, shift_x], dim=1), torch.stack([sine, cosine, shift_y], dim=1))
    shape = [count, images.shape[1], resolution, resolution]
    grid = functional.affine_grid(torch.stack(rows, dim=1), shape, align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
