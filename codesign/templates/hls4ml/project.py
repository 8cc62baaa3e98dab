"""Projects that hls4ml writes, and their C simulation."""

import contextlib
import faulthandler
import io
import json
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from codesign.emit.integer_reference import run_integer
from codesign.run.records import CsimRecord
from codesign.templates.hls4ml.network import FixedPointNetwork, Hls4mlNetwork
from cost_models.workload import IMAGE
from hw_templates.board import Board
from hw_templates.foundation.errors import ToolError, VerificationError
from hw_templates.foundation.extras import install_command
from hw_templates.hls4ml.parameters import Hls4mlAccelerator

HLS4ML = "1.3.0"
PROJECT_NAME = "network"
MODEL, WEIGHTS = "model.json", "model.h5"
_ACCELERATOR_BOARDS = ("pynq-z2",)


def backend_of(board: Board) -> str:
    """hls4ml's backend for a board: the one with a block design and a driver where there is one."""
    return "VivadoAccelerator" if board.name in _ACCELERATOR_BOARDS else "Vitis"


def require_hls4ml() -> None:
    """Say whether hls4ml is installed in the version whose behaviour the template rests on.

    Raises:
        ToolError: it is not; says how to install it.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("hls4ml")
    except PackageNotFoundError:
        found = "none"
    if found != HLS4ML:
        raise ToolError(f"hls4ml: must be version {HLS4ML}, got {found}; run `{install_command('hls4ml')}`")


def write_hls4ml_project(folder: Path, fixed: FixedPointNetwork, design: Hls4mlAccelerator, board: Board) -> Any:
    """Have hls4ml write the project of a network, and return its model, ready to compile.

    The folder also gets what hls4ml was given: the Keras description and its weights.

    Raises:
        ToolError: hls4ml is missing, of another version, or fails.
        UnsupportedLayerError: hls4ml cannot convert a layer; names it and says why.
    """
    network = Hls4mlNetwork(fixed, design)
    require_hls4ml()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).write_text(json.dumps(network.model, indent=1) + "\n")
    import h5py

    with h5py.File(folder / WEIGHTS, "w", track_order=True) as file:
        for layer, variables in network.weights.items():
            for variable, values in variables.items():
                file.create_dataset(f"model_weights/{layer}/{layer}/{variable}:0", data=values)
    with _hls4ml_says() as said:
        from hls4ml.backends import get_backend
        from hls4ml.converters.keras_v2_to_hls import keras_v2_to_hls

        name = backend_of(board)
        place = {"board": board.name} if name == "VivadoAccelerator" else {"part": board.part}
        settings = get_backend(name).create_initial_config(
            **place, clock_period=round(1e3 / design.clock_mhz, 3), io_type=str(design.io_type)
        )
        whole = {"Precision": f"fixed<{2 * design.precision_bits},{design.precision_bits}>", "ReuseFactor": 1}
        settings |= {
            "KerasJson": str(folder / MODEL),
            "KerasH5": str(folder / WEIGHTS),
            "OutputDir": str(folder),
            "ProjectName": PROJECT_NAME,
            "Backend": name,
            "HLSConfig": {"Model": {**whole, "Strategy": "resource"}, "LayerName": network.layers},
        }
        model = keras_v2_to_hls(settings)
        model.write()
    if "Invalid ReuseFactor" in said.getvalue():
        raise ToolError(f"hls4ml changed a reuse factor: {said.getvalue().strip().splitlines()[0]}")
    return model


def simulate(model: Any, fixed: FixedPointNetwork, images: npt.NDArray[np.int8], digest: str) -> CsimRecord:
    """Compile the project with hls4ml and compare its logits with the integer reference's.

    Args:
        model: of :func:`write_hls4ml_project`.
        fixed: the network that it was made of.
        images: int8 [n, C, H, W], as the network reads them.
        digest: of what the project computes.

    Raises:
        ToolError: the C++ does not compile, or ends itself.
        VerificationError: a logit differs by more than the precision allows.
    """
    real = np.ascontiguousarray(images.transpose(0, 2, 3, 1).astype(np.float32) * np.float32(fixed.steps[IMAGE]))
    with _hls4ml_says():
        model.compile()
        simulated = predict_apart(model, real).astype(np.float64).reshape(len(images), -1)
    expected = run_integer(fixed.network, images).astype(np.float64) * fixed.network.output_scale
    record = CsimRecord(
        program_sha256=digest,
        images=len(images),
        same_class=float((simulated.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        largest_difference=float(np.abs(simulated - expected).max()),
        # Half a step of the logits: what exact arithmetic that is rounded once may differ by.
        tolerance=fixed.network.output_scale / 2,
    )
    if record.largest_difference > record.tolerance:
        raise VerificationError(
            f"hls4ml's C++ differs from the fixed-point network by {record.largest_difference:g} in a logit, "
            f"more than half a step, {record.tolerance:g}"
        )
    return record


def predict_apart(model: Any, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the results of a compiled model, run in another process: a failed assertion of hls4ml's C++ ends it."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    with tempfile.TemporaryFile() as errors:
        child = multiprocessing.get_context("fork").Process(target=_send_logits, args=(model, images, sender, errors))
        child.start()
        sender.close()
        try:
            return np.asarray(receiver.recv())
        except EOFError:
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise ToolError(f"hls4ml: its C++ ended before the last image: {''.join(last)[-300:]}") from None
        finally:
            child.join()


def _send_logits(model: Any, images: npt.NDArray[np.float32], sender: Connection, errors: IO[bytes]) -> None:
    os.dup2(errors.fileno(), 2)
    faulthandler.disable()  # its dump would stand behind the assertion's line
    sender.send(np.asarray(model.predict(images)))


@contextlib.contextmanager
def _hls4ml_says() -> Iterator[io.StringIO]:
    """Collects what hls4ml prints, keeps its warnings to itself, and turns its failures into one line."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield said
    except (ToolError, VerificationError):
        raise
    except Exception as error:
        raise ToolError(f"hls4ml: {' '.join(str(error).split())[:300]}") from error
