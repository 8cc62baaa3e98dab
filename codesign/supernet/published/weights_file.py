"""Published weights as files: read without running anything that is in them."""

import io
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hw_templates.foundation.errors import StorageError
from hw_templates.foundation.json_records import MALFORMED
from hw_templates.foundation.regular_file import read_regular

_MOST_BYTES = 4 << 30
# How torch words that a file asks for something to be called that may run anything.
_UNSAFE = re.compile(r"(?:Unsupported global: GLOBAL|Trying to load unsupported GLOBAL) ([\w.]+)")

# Under what training scripts keep a state dict in a checkpoint; the first that is there is taken.
_CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "ema",
               "model_ema", "state_dict_ema", "ema_state_dict")  # fmt: skip
# What wrapping modules put before every name: DataParallel and averaged models, Lightning and its like.
_PREFIXES = ("module.", "model.", "net.", "network.")
# What torch.compile, FSDP and activation checkpoints put anywhere into a name.
_SEGMENTS = re.compile(r"_orig_mod\.|_fsdp_wrapped_module\.|_checkpoint_wrapped_module\.")
# Beside the weights of an averaged model: of how many it is the mean.
_AVERAGED = "n_averaged"


def read_bytes(path: Path, remedy: str) -> bytes:
    """Return the content of a file.

    Raises:
        StorageError: it is missing (the message ends with ``remedy``), cannot be read, is no regular file or too large.
    """
    if not path.exists():
        raise StorageError(f"{path}: no such file; {remedy}")
    return read_regular(path, _MOST_BYTES)


def parse_weights(content: bytes, path: Path) -> dict[str, Tensor]:
    """Return the tensors by name that ``torch.save`` wrote, without the wrappers of training scripts.

    A state dict may lie in a checkpoint, under ``state_dict``, ``model`` or another usual name, and its names may begin
    with ``module.`` or hold ``_orig_mod.``, as DataParallel and torch.compile write them.

    Args:
        content: of the file.
        path: its name, for messages.

    Raises:
        StorageError: the content is damaged, asks for code to be run, or holds anything but tensors by name.
    """
    state = _unwrapped(_loaded(content, path))
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in state.items()
    ):
        names = sorted(str(name)[:40] for name in state)[:5] if isinstance(state, Mapping) else []
        held = f" ({', '.join(names)!a})" if names else ""
        raise StorageError(f"{path}: holds something else than weights by name{held}; save model.state_dict() alone")
    weights: dict[str, Tensor] = {}
    for name, tensor in _plain_names(state).items():
        if not name.isprintable():
            raise StorageError(f"{path}: a name is {name[:40]!r}; save model.state_dict() alone")
        weights[name] = _checked(tensor.detach(), name, path)
    return weights


def _loaded(content: bytes, path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # torch warns of the damage that is reported here.
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except MALFORMED as error:
        unsafe = _UNSAFE.search(str(error))
        if unsafe and not _ends_within(content, unsafe[1]):
            raise StorageError(
                f"{path}: an unsafe pickle, refused unread: it asks for {unsafe[1][:60]}, which may run code; "
                "where you trust it, load it in torch and save model.state_dict() alone"
            ) from error
        raise StorageError(f"{path}: no whole file of weights (damaged, cut off or of another kind)") from error


def _ends_within(content: bytes, name: str) -> bool:
    """Return whether a file was cut off within a name of a class or function, which then says nothing."""
    last = name.rpartition(".")[2].encode()
    # torch takes the last letter for the end of the line.
    return content.endswith(last) or content[:-1].endswith(last)


def _unwrapped(state: Any) -> Any:
    """Return the weights that a checkpoint wraps, however deep; anything else as it is."""
    while isinstance(state, Mapping):
        inner = next((state[name] for name in _CONTAINERS if isinstance(state.get(name), Mapping)), None)
        if inner is None:
            break
        state = inner
    return state


def _plain_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors by the names of the network itself."""
    plain = dict(state)
    if any(name.startswith("module.") for name in plain):
        plain.pop(_AVERAGED, None)
    while plain:
        prefix = next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in plain)), "")
        shorter = {_SEGMENTS.sub("", name.removeprefix(prefix)): tensor for name, tensor in plain.items()}
        # Names that fall together were no wrappers.
        if len(shorter) < len(plain) or shorter.keys() == plain.keys():
            break
        plain = shorter
    return plain


def _checked(tensor: Tensor, name: str, path: Path) -> Tensor:
    """Return the tensor, which must be plain and hold finite numbers."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.device.type != "cpu":
        raise StorageError(f"{path}: {name} is no plain tensor of numbers; save it as float32")
    # An expanded tensor states far more than it holds.
    if tensor.numel() * tensor.element_size() > max(tensor.untyped_storage().nbytes(), 1):
        raise StorageError(f"{path}: {name} states {tensor.numel():,} numbers and holds fewer; save a contiguous copy")
    try:
        finite = bool(torch.isfinite(tensor.to(torch.float32)).all())
    except (RuntimeError, TypeError) as error:
        raise StorageError(f"{path}: {name} is of {tensor.dtype}; save it as float32") from error
    if not finite:
        raise StorageError(f"{path}: {name} holds what is no finite number")
    return tensor
