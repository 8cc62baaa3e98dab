"""The published accuracy predictors of OFA-MobileNetV3 (width 1.2) and OFA-ResNet50D as oracles.

Both are networks of three hidden layers of 400 ReLU units on one-hot codes of a subnet's choices (Cai et al. 2020,
section 3.3), published with the tutorials of the reference implementation (``ofa`` package: ``tutorial/ofa.ipynb`` and
``tutorial/ofa_resnet50_example.ipynb``). They predict the accuracy on a held-out part of ImageNet's training set, which
ranks subnets and lies some points above their accuracy on its validation set.
"""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from codesign.supernet.published.artefacts import fetched
from codesign.supernet.spaces.named import load_space
from codesign.supernet.spaces.space import Choice, Genes, Space, kind_of
from hw_templates.foundation.arrays import Float32Array, FloatArray
from hw_templates.foundation.errors import InvalidValueError, StorageError

_HIDDEN = 400
_CHUNK = 2048  # rows of activations that stay in the cache
_NEGLIGIBLE = 1e-20  # smaller weights, as decay left thousands, only cost the time of denormal products

Layers = tuple[tuple[Float32Array, Float32Array], ...]
"""(weight [inputs, outputs], bias [outputs]) of each layer."""


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One published predictor.

    Attributes:
        space: whose subnets it was fitted to.
        file: its published name.
        inputs: name of something elastic to its choices, in the order of their one-hot inputs.
        known_resolutions: those of its resolution inputs that were trained.
        tensors: names in the state dict: weight and bias of one layer after the other.
    """

    space: Space
    file: str
    inputs: dict[str, tuple[Choice, ...]]
    known_resolutions: tuple[int, ...]
    tensors: tuple[str, ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors in the state dict, by their names."""
        sizes = itertools.pairwise([sum(map(len, self.inputs.values())), _HIDDEN, _HIDDEN, _HIDDEN, 1])
        shapes = [shape for inputs, outputs in sizes for shape in ((outputs, inputs), (outputs,))]
        return dict(zip(self.tensors, shapes, strict=True))


def _genes(space: Space, *kinds: str) -> dict[str, tuple[Choice, ...]]:
    """Genes of such kinds, with their choices, one kind after the other."""
    return {name: choices for kind in kinds for name, choices in space.genes if kind_of(name) == kind}


_MOBILE_SPACE, _RESNET_SPACE = load_space("ofa-mbv3-w1.2"), load_space("ofa-resnet50d")
_MOBILE = _Kind(
    space=_MOBILE_SPACE,
    file="acc_predictor.pth",
    inputs=_genes(_MOBILE_SPACE, "kernel", "expand") | {"resolution": tuple(range(112, 225, 16))},
    # The network of width 1.2 was trained from 160 pixels on, and so was the predictor: its inputs for 112 to 144
    # rank those above 160.
    known_resolutions=tuple(range(160, 225, 16)),
    tensors=tuple(f"{index}.{role}" for index in (0, 2, 4, 6) for role in ("weight", "bias")),
)

_RESNET_RESOLUTIONS = (128, 144, 160, 176, 192, 224, 240, 256)
_RESNET = _Kind(
    space=_RESNET_SPACE,
    file="ofa_resnet50_acc_predictor.pth",
    inputs={
        "resolution": _RESNET_RESOLUTIONS,
        "stem.depth": _RESNET_SPACE.choices["stem.depth"],
        **_genes(_RESNET_SPACE, "width", "expand"),
    },
    known_resolutions=_RESNET_RESOLUTIONS,
    tensors=(
        *(f"layers.{index}.0.{role}" for index in range(3) for role in ("weight", "bias")),
        *("layers.3.weight", "base_acc"),
    ),
)

_KINDS = (_MOBILE, _RESNET)


def _kind_of(space: Space) -> _Kind:
    """Return the predictor of a space, whatever its resolutions.

    Raises:
        InvalidValueError: none was published for it.
    """
    for kind in _KINDS:
        if replace(space, name=kind.space.name, resolutions=kind.space.resolutions) == kind.space:
            return kind
    names = " or ".join(kind.space.name for kind in _KINDS)
    raise InvalidValueError("space", space.name, f"{names}, which official accuracy predictors were published for")


def known_space(space: Space) -> Space:
    """Return the subnets of a space at the resolutions that its official predictor was fitted to.

    Raises:
        InvalidValueError: it has no official predictor, or none of these resolutions.
    """
    known = _kind_of(space).known_resolutions
    resolutions = tuple(resolution for resolution in space.resolutions if resolution in known)
    if not resolutions:
        raise InvalidValueError("space.resolutions", space.resolutions, f"such that some are in {known}")
    return replace(space, resolutions=resolutions)


@dataclass(frozen=True, eq=False)
class OfficialPredictor:
    """An accuracy oracle for the resolutions that it was fitted to.

    Attributes:
        space: whose subnets; :func:`known_space` narrows one to such resolutions.
        digest: 16 hexadecimal digits that name the published weights.
        layers: (weight [inputs, outputs], bias [outputs]), a ReLU after each but the last.

    Raises:
        InvalidValueError: no predictor was published for the space, or it does not know such resolutions.
    """

    space: Space
    digest: str
    layers: Layers

    def __post_init__(self) -> None:
        known = _kind_of(self.space).known_resolutions
        if not set(self.space.resolutions) <= set(known):
            expected = f"in {known[0]}..{known[-1]}, of {known}, which the official predictor was fitted to"
            raise InvalidValueError("space.resolutions", self.space.resolutions, expected)

    def inputs(self, genes: Genes) -> Float32Array:
        """Return [n, inputs] one-hot codes of the choices in genotypes [n, G]; those of absent blocks are all 0."""
        codes = self.space.one_hot(genes, _kind_of(self.space).inputs)
        return np.ascontiguousarray(codes, dtype=np.float32)

    def accuracy(self, genes: Genes) -> FloatArray:
        """Return [n] predicted accuracies, 0 to 1, of genotypes [n, G]; computed in float32.

        Raises:
            InvalidValueError: they are not genotypes of the space.
        """
        self.space.check_genes(genes)
        accuracies = np.empty(len(genes))
        for start in range(0, len(genes), _CHUNK):
            features = self.inputs(genes[start : start + _CHUNK])
            for weight, bias in self.layers[:-1]:
                features = features @ weight
                features += bias
                np.maximum(features, 0, out=features)
            weight, bias = self.layers[-1]
            accuracies[start : start + _CHUNK] = (features @ weight + bias)[:, 0]
        return np.clip(accuracies, 0, 1)


def _layers(kind: _Kind, weights: Mapping[str, Float32Array], path: Path) -> Layers:
    given = {name: weight.shape for name, weight in weights.items()}
    if given != kind.shapes:
        for other in _KINDS:
            if given == other.shapes:
                raise StorageError(f"{path}: an accuracy predictor of {other.space.name}, wanted {kind.space.name}")
        wrong = min(name for name in given.keys() | kind.shapes.keys() if given.get(name) != kind.shapes.get(name))
        found, wanted = (shapes.get(wrong, "none") for shapes in (given, kind.shapes))
        raise StorageError(f"{path}: {wrong} is of shape {found}, wanted {wanted} as {kind.file} of {kind.space.name}")
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise StorageError(f"{path}: {name} must hold finite numbers; name a file as it was published")
    kept = [np.where(np.abs(weights[name]) < _NEGLIGIBLE, np.float32(0), weights[name]) for name in kind.tensors]
    return tuple((np.ascontiguousarray(weight.T), bias) for weight, bias in zip(kept[::2], kept[1::2], strict=True))


def load_official_predictor(space: Space, source: Path | None = None) -> OfficialPredictor:
    """Return the published predictor of a space.

    Args:
        space: OFA-MobileNetV3 of width 1.2 or OFA-ResNet50D, of resolutions that the predictor knows:
            :func:`known_space` narrows a space to them.
        source: the file, or a folder that holds it under its published name; default: what was fetched.

    Raises:
        InvalidValueError: no predictor was published for the space, or it does not know such resolutions.
        FetchError: it was not fetched yet, or is not what was published.
        StorageError: the file is missing, damaged, or of another space.
    """
    # A search that got its oracle from another process need not import torch.
    from codesign.supernet.published.weights_file import parse_weights, read_bytes

    kind = _kind_of(space)
    path = source or fetched(kind.file)
    path = path / kind.file if path.is_dir() else path
    content = read_bytes(path, f"`codesign fetch {kind.file}` brings it")
    weights = {name: tensor.float().numpy() for name, tensor in parse_weights(content, path).items()}
    return OfficialPredictor(space, hashlib.sha256(content).hexdigest()[:16], _layers(kind, weights, path))
