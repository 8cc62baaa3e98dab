"""Networks of their own as files: for torch, for ONNX, and for the reference implementation."""

import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from codesign.supernet.published.net_config import Config
from hw_templates.foundation.atomic_file import write_bytes_atomically
from hw_templates.foundation.errors import ToolError, UnknownNameError
from hw_templates.foundation.extras import install_command

_ONNX_OPSET = 17


@dataclass(frozen=True, kw_only=True)
class NetworkToWrite:
    """A network and what there is to know of it.

    Attributes:
        network: to evaluate, float32 images [n, C, resolution, resolution] to logits [n, classes].
        config: its ``net.config``.
        resolution, image_channels: of its images.
        about: where it comes from and what else a user of it should know, fit for JSON.
    """

    network: nn.Module
    config: Config
    resolution: int
    image_channels: int
    about: dict[str, object]

    def images(self) -> Tensor:
        """Return some input of the right shape, of two images so that none takes the number for a constant."""
        return torch.zeros(2, self.image_channels, self.resolution, self.resolution)


def _saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _torch_files(net: NetworkToWrite) -> dict[str, bytes]:
    """``network.pt2`` is the module (``torch.export.load``), ``weights.pth`` its state dict."""
    count = torch.export.Dim("n")
    with warnings.catch_warnings():
        # Deprecations inside torch.
        warnings.simplefilter("ignore")
        program = torch.export.export(net.network, (net.images(),), dynamic_shapes=({0: count},))
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
    about = {**net.about, "resolution": net.resolution, "net.config": net.config}
    return {
        "network.pt2": buffer.getvalue(),
        "weights.pth": _saved(net.network.state_dict()),
        "network.json": _json(about),
    }


def _onnx_files(net: NetworkToWrite) -> dict[str, bytes]:
    """``network.onnx`` takes ``images`` and gives ``logits``, of any number of images."""
    if find_spec("onnx") is None:
        raise ToolError(f"onnx: is not installed; run `{install_command('onnx')}`")
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # The exporter that torch recommends now needs two more packages and several times as long for the same graph.
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            net.network,
            (net.images(),),
            path,
            dynamo=False,
            opset_version=_ONNX_OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "n"}, "logits": {0: "n"}},
        )
        content = path.read_bytes()
    return {"network.onnx": content, "network.json": _json({**net.about, "resolution": net.resolution})}


def _ofa_files(net: NetworkToWrite) -> dict[str, bytes]:
    """Return the three files of a published specialised network, under their names, and where this one comes from."""
    return {
        "net.config": _json(net.config),
        "run.config": _json({"image_size": net.resolution}),
        "init": _saved({"state_dict": net.network.state_dict()}),
        "network.json": _json(net.about),
    }


def _json(record: dict[str, object]) -> bytes:
    return (json.dumps(record, indent=2) + "\n").encode()


FORMATS: dict[str, Callable[[NetworkToWrite], dict[str, bytes]]] = {
    "torch": _torch_files,
    "onnx": _onnx_files,
    "ofa": _ofa_files,
}
"""Name of a format to what makes its files."""


def check_format(name: str) -> None:
    """Say whether there is a format of that name.

    Raises:
        InvalidValueError: there is none.
    """
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS)


def write_network(folder: Path, net: NetworkToWrite, file_format: str) -> tuple[Path, ...]:
    """Write the network's files of a format into a folder; the paths written.

    Raises:
        InvalidValueError: no such format.
        ToolError: what makes the format is not installed.
        StorageError: the folder cannot be written or the disk is full.
    """
    check_format(file_format)
    contents = FORMATS[file_format](net)
    for name, content in contents.items():
        write_bytes_atomically(folder / name, content)
    return tuple(folder / name for name in contents)
