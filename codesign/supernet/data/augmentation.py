"""Random changes of training images, a batch at a time."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from codesign.supernet.training.schedule import Augmentation
from hw_templates.foundation.arrays import FloatArray

_LEAST_RATIO = 3 / 4
# Weights of red, green and blue in a pixel's brightness (ITU-R BT.601).
_BRIGHTNESS = (0.299, 0.587, 0.114)


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Changes of n images.

    Attributes:
        affine: [n, 2, 3] from the result's coordinates to the image's, both from -1 to 1; None for no change.
        crops: [n, 4] draws of 0 to 1 for the crop: area, aspect ratio, left, top; None for whole images.
        least_area: of the crop, as a part of the image's.
        mirrored: [n] whether the image is; None for no image.
        brightness, saturation: [n] factors; None for no change.
    """

    affine: Tensor | None
    crops: FloatArray | None
    least_area: float
    mirrored: Tensor | None
    brightness: Tensor | None
    saturation: Tensor | None

    def part(self, rows: slice) -> "Changes":
        """Return the changes of some of the images."""
        affine, mirrored, brightness, saturation = (
            None if values is None else values[rows]
            for values in (self.affine, self.mirrored, self.brightness, self.saturation)
        )
        crops = None if self.crops is None else self.crops[rows]
        return Changes(
            affine=affine,
            crops=crops,
            least_area=self.least_area,
            mirrored=mirrored,
            brightness=brightness,
            saturation=saturation,
        )

    def boxes(self, widths: FloatArray, heights: FloatArray) -> FloatArray:
        """Return [n, 4] left, top, width and height, in pixels, of the crops in images of these sizes [n]."""
        assert self.crops is not None
        area, ratio, left, top = self.crops.T
        area = (self.least_area + area * (1 - self.least_area)) * widths * heights
        ratio = np.exp((2 * ratio - 1) * -math.log(_LEAST_RATIO))
        width = np.minimum(np.sqrt(area * ratio), widths)
        height = np.minimum(np.sqrt(area / ratio), heights)
        return np.stack([left * (widths - width), top * (heights - height), width, height], axis=1)


def draw_changes(augmentation: Augmentation, count: int, generator: torch.Generator) -> Changes:
    """Draw the changes of ``count`` images."""

    def draws(rows: int) -> Tensor:
        return torch.rand(rows, count, generator=generator)

    affine, crops, mirrored, brightness, saturation = None, None, None, None, None
    if augmentation.shift or augmentation.degrees or augmentation.scale:
        affine = _draw_affine(augmentation, 2 * draws(4) - 1)
    if augmentation.least_area < 1:
        crops = draws(4).T.double().numpy()
    if augmentation.flip:
        mirrored = draws(1)[0] < 0.5
    if augmentation.brightness:
        brightness = 1 + augmentation.brightness * (2 * draws(1)[0] - 1)
    if augmentation.saturation:
        saturation = 1 + augmentation.saturation * (2 * draws(1)[0] - 1)
    return Changes(
        affine=affine,
        crops=crops,
        least_area=augmentation.least_area,
        mirrored=mirrored,
        brightness=brightness,
        saturation=saturation,
    )


def _draw_affine(augmentation: Augmentation, draws: Tensor) -> Tensor:
    """Return [n, 2, 3] from four draws of -1 to 1 for each image [4, n]: angle, size, shifts."""
    angle = draws[0] * math.radians(augmentation.degrees)
    scale = 1 + draws[1] * augmentation.scale
    # grid_sample's image spans -1 to 1, so a shift by a part of the side is twice that.
    shift_x, shift_y = 2 * augmentation.shift * draws[2], 2 * augmentation.shift * draws[3]
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    rows = (torch.stack([cosine, -sine, shift_x], dim=1), torch.stack([sine, cosine, shift_y], dim=1))
    return torch.stack(rows, dim=1)


def sample(images: Tensor, affine: Tensor, resolution: int) -> Tensor:
    """Images [n, C, h, w] as their affine maps [n, 2, 3] place them, of [n, C, resolution, resolution].

    Bilinear; what comes from outside the image is 0.
    """
    grid = functional.affine_grid(affine, [*images.shape[:2], resolution, resolution], align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def recolour(images: Tensor, changes: Changes) -> Tensor:
    """Images [n, C, h, w] of 0 to 1, mirrored and recoloured; grey images have no saturation to change."""
    if changes.mirrored is not None:
        images = torch.where(changes.mirrored[:, None, None, None], images.flip(3), images)
    if changes.saturation is not None and images.shape[1] == len(_BRIGHTNESS):
        grey = torch.einsum("nchw,c->nhw", images, torch.tensor(_BRIGHTNESS))[:, None]
        images = grey + changes.saturation[:, None, None, None] * (images - grey)
    if changes.brightness is not None:
        images = changes.brightness[:, None, None, None] * images
    return images if changes.saturation is None and changes.brightness is None else images.clamp(0, 1)


def change(images: Tensor, changes: Changes, resolution: int) -> Tensor:
    """Images [n, C, h, w] of 0 to 1, changed and resized to [n, C, resolution, resolution] by one bilinear sampling."""
    count, _, height, width = images.shape
    affine = changes.affine
    if changes.crops is not None:
        box = changes.boxes(np.full(count, float(width)), np.full(count, float(height)))
        affine = _within(box / [width, height, width, height], affine)
    if affine is not None:
        images = sample(images, affine, resolution)
    elif images.shape[2:] != (resolution, resolution):
        images = functional.interpolate(images, (resolution, resolution), mode="bilinear", align_corners=False)
    return recolour(images, changes)


def _within(box: FloatArray, affine: Tensor | None) -> Tensor:
    """Return [n, 2, 3]: an affine map (None for none) followed by that into a box [n, 4] in parts of the image."""
    corner, size = torch.from_numpy(box[:, :2]).float(), torch.from_numpy(box[:, 2:]).float()
    if affine is None:
        affine = torch.eye(2, 3).expand(len(box), 2, 3)
    inside = size[:, :, None] * affine
    inside[:, :, 2] += 2 * corner + size - 1
    return inside
