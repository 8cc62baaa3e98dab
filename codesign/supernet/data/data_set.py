"""Images to train and judge on, in three parts, and their random changes; scikit-learn's handwritten digits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codesign.supernet.training.schedule import Augmentation
from hw_templates.foundation.arrays import FloatArray, IntArray
from hw_templates.foundation.errors import InvalidValueError

_LEAST_RATIO = 3 / 4
# Weights of red, green and blue in a pixel's brightness (ITU-R BT.601).
_BRIGHTNESS = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Changes of n images; None leaves all of them as they are.

    Attributes:
        affine: [n, 2, 3] from the result's coordinates to the image's, both from -1 to 1.
        crops: float64 [n, 4] of a crop: its part of the area, and draws of 0 to 1 for aspect ratio, left and top.
        mirrored: [n, 1, 1, 1] whether the image is.
        brightness, saturation: [n, 1, 1, 1] factors.
    """

    affine: Tensor | None = None
    crops: Tensor | None = None
    mirrored: Tensor | None = None
    brightness: Tensor | None = None
    saturation: Tensor | None = None

    def part(self, rows: slice) -> "Changes":
        """Return the changes of some of the images."""
        return Changes(**{name: None if values is None else values[rows] for name, values in vars(self).items()})

    def boxes(self, width: float, height: float) -> FloatArray:
        """Return [n, 4] left, top, width and height, in pixels, of the crops in images of one size."""
        assert self.crops is not None
        area, ratio, left, top = self.crops.T.numpy()
        area = area * width * height
        ratio = np.exp((2 * ratio - 1) * -math.log(_LEAST_RATIO))
        widths, heights = np.minimum(np.sqrt(area * ratio), width), np.minimum(np.sqrt(area / ratio), height)
        return np.stack([left * (width - widths), top * (height - heights), widths, heights], axis=1)


UNCHANGED = Changes()


def draw_changes(augmentation: Augmentation, count: int, generator: torch.Generator) -> Changes:
    """Draw the changes of ``count`` images."""

    def draws(rows: int) -> Tensor:
        return torch.rand(rows, count, generator=generator)

    def factors(largest: float) -> Tensor | None:
        return 1 + largest * (2 * draws(1).view(-1, 1, 1, 1) - 1) if largest else None

    affine = crops = None
    if augmentation.shift or augmentation.degrees or augmentation.scale:
        affine = _draw_affine(augmentation, 2 * draws(4) - 1)
    if augmentation.least_area < 1:
        crops = draws(4).T.double()
        crops[:, 0] = augmentation.least_area + crops[:, 0] * (1 - augmentation.least_area)
    return Changes(
        affine=affine,
        crops=crops,
        mirrored=draws(1).view(-1, 1, 1, 1) < 0.5 if augmentation.flip else None,
        brightness=factors(augmentation.brightness),
        saturation=factors(augmentation.saturation),
    )


def _draw_affine(augmentation: Augmentation, draws: Tensor) -> Tensor:
    """Return [n, 2, 3] from four draws of -1 to 1 for each image [4, n]: angle, size, shifts."""
    angle, scale = draws[0] * math.radians(augmentation.degrees), 1 + draws[1] * augmentation.scale
    # grid_sample's image spans -1 to 1, so a shift by a part of the side is twice that.
    shift_x, shift_y = 2 * augmentation.shift * draws[2:]
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    return torch.stack([cosine, -sine, shift_x, sine, cosine, shift_y], dim=1).view(-1, 2, 3)


def sample(images: Tensor, affine: Tensor, resolution: int) -> Tensor:
    """Images [n, C, h, w] as their affine maps [n, 2, 3] place them, of [n, C, resolution, resolution].

    Bilinear; what comes from outside the image is 0.
    """
    grid = functional.affine_grid(affine, [*images.shape[:2], resolution, resolution], align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def recolour(images: Tensor, changes: Changes) -> Tensor:
    """Images [n, C, h, w] of 0 to 1, mirrored and recoloured; grey images have no saturation to change."""
    if changes.mirrored is not None:
        images = torch.where(changes.mirrored, images.flip(3), images)
    if changes.saturation is not None and images.shape[1] == len(_BRIGHTNESS):
        grey = torch.einsum("nchw,c->nhw", images, torch.tensor(_BRIGHTNESS))[:, None]
        images = grey + changes.saturation * (images - grey)
    if changes.brightness is not None:
        images = changes.brightness * images
    return images if changes.saturation is None and changes.brightness is None else images.clamp(0, 1)


def change(images: Tensor, resolution: int, changes: Changes) -> Tensor:
    """Images [n, C, h, w] of 0 to 1, changed and resized to [n, C, resolution, resolution] by one bilinear sampling."""
    height, width = images.shape[2:]
    affine = changes.affine
    if changes.crops is not None:
        affine = _within(changes.boxes(width, height) / [width, height, width, height], affine)
    if affine is not None:
        images = sample(images, affine, resolution)
    elif (height, width) != (resolution, resolution):
        images = functional.interpolate(images, (resolution, resolution), mode="bilinear", align_corners=False)
    return recolour(images, changes)


def _within(box: FloatArray, affine: Tensor | None) -> Tensor:
    """Return [n, 2, 3]: an affine map (None for none) followed by that into a box [n, 4] in parts of the image."""
    corner, size = torch.split(torch.from_numpy(box).float(), 2, dim=1)
    inside = size[:, :, None] * (torch.eye(2, 3) if affine is None else affine)
    inside[:, :, 2] += 2 * corner + size - 1
    return inside


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
