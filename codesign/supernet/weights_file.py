"""Published weights as files: read without running anything that is in them."""

import io
import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from hw_templates.errors import StorageError

# What torch's restricted unpickler trips over in damaged files.
_DAMAGE = (
    pickle.UnpicklingError,
    struct.error,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)


def read_bytes(path: Path, remedy: str) -> bytes:
    """The content of a file.

    Raises:
        StorageError: it is missing (the message ends with ``remedy``) or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise StorageError(f"{path}: no such file; {remedy}") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror}); name another file") from error


def parse_weights(content: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors by name that ``torch.save`` wrote, alone or as ``state_dict`` of a dictionary.

    Args:
        content: of the file.
        path: its name, for messages.

    Raises:
        StorageError: the content is damaged, or holds anything but tensors.
    """
    try:
        with warnings.catch_warnings():
            # torch warns of the damage that is reported here.
            warnings.simplefilter("ignore")
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        raise StorageError(f"{path}: no whole file of weights (damaged, cut off or of another kind)") from error
    if isinstance(state, Mapping) and "state_dict" in state:
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise StorageError(f"{path}: holds something else than weights by name")
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise StorageError(f"{path}: {name} holds what is no finite number")
    return {str(name): tensor for name, tensor in state.items()}
