"""What the template refuses is what hls4ml itself refuses or computes otherwise, tried with hls4ml.

Each case is a network of a layer or two in Keras' terms, converted and compiled; refused layers by the names of
tests/cost_models/hls4ml/test_stages.py.
"""

import contextlib
import io
import json
import warnings
from importlib.util import find_spec

import numpy as np
import pytest

from codesign.templates.hls4ml.project import predict_apart
from hw_templates.foundation.errors import ToolError

pytestmark = [
    pytest.mark.skipif(find_spec("hls4ml") is None, reason="hls4ml is not installed: extra hls4ml"),
]
MAPS = np.floor(np.random.default_rng(0).uniform(-9, 9, (4, 4, 4, 8)) * 16) / 16
RELU = ("Activation", ["image"], {"activation": "relu"})
RELU6 = ("ReLU", ["image"], {"max_value": 6.0, "negative_slope": 0.0, "threshold": 0.0})
HSWISH = ("Activation", ["image"], {"activation": "hard_swish"})
HSIGMOID = ("Activation", ["image"], {"activation": "hard_sigmoid"})
MEAN = ("GlobalAveragePooling2D", ["image"], {"keepdims": False})
MAX_POOL = (
    ("ZeroPadding2D", ["image"], {"padding": [[1, 1], [1, 1]]}),
    ("MaxPooling2D", ["layer0"], {"pool_size": [3, 3], "strides": [2, 2], "padding": "valid"}),
)
SCALE = (("GlobalAveragePooling2D", ["image"], {"keepdims": True}), ("Multiply", ["image", "layer0"], {}))


def of_hls4ml(folder, maps, io_type, *layers):
    """What hls4ml's C++ of a chain of layers gives for maps [n, H, W, C], in 16 bits, half of them whole."""
    import h5py
    from hls4ml.backends import get_backend
    from hls4ml.converters.keras_v2_to_hls import keras_v2_to_hls

    entries = [entry("InputLayer", "image", [], {"batch_input_shape": [None, *maps.shape[1:]], "dtype": "float32"})]
    for index, (kind, sources, settings) in enumerate(layers):
        entries.append(entry(kind, f"layer{index}", sources, {"data_format": "channels_last", **settings}))
    ends = {"input_layers": [["image", 0, 0]], "output_layers": [[entries[-1]["name"], 0, 0]]}
    description = {"class_name": "Functional", "config": {"name": "network", "layers": entries, **ends}}
    (folder / "model.json").write_text(json.dumps(description))
    with h5py.File(folder / "model.h5", "w") as file:
        file.create_group("model_weights")
    settings = get_backend("Vitis").create_initial_config(part="xczu7ev-ffvc1156-2-e", clock_period=10, io_type=io_type)
    whole = {"Precision": "fixed<16,8>", "ReuseFactor": 1, "Strategy": "resource"}
    settings |= {
        "KerasJson": str(folder / "model.json"),
        "KerasH5": str(folder / "model.h5"),
        "OutputDir": str(folder),
        "ProjectName": "network",
        "Backend": "Vitis",
        "HLSConfig": {"Model": whole},
    }
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = keras_v2_to_hls(settings)
        model.write()
        model.compile()
    return predict_apart(model, np.ascontiguousarray(maps, dtype=np.float32)).reshape(len(maps), -1)


def entry(kind, name, sources, settings):
    """A layer as Keras' JSON has it."""
    inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": {"name": name, **settings}, "inbound_nodes": inbound}


def windows_max(maps):
    """Max of 3x3 windows, two apart, of maps padded by one pixel of zeros."""
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))  # type: ignore[call-overload]
    return windows[:, ::2, ::2].max(axis=(-2, -1))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(RELU, MAPS.clip(0)), (MEAN, MAPS.mean(axis=(1, 2)))],
    ids=["relu", "mean of 16 pixels"],
)
def test_what_is_not_refused_is_exact(tmp_path, layer, expected):
    found = of_hls4ml(tmp_path, MAPS, "io_stream", layer)
    # Averages are rounded down to the type's step.
    assert np.array_equal(found, np.floor(expected.reshape(len(MAPS), -1) * 256) / 256)


@pytest.mark.parametrize(
    ("layer", "maps", "expected", "least"),
    [
        (RELU6, MAPS, MAPS.clip(0, 6), 2.0),
        (HSIGMOID, MAPS, (MAPS + 3).clip(0, 6) / 6, 0.05),
    ],
    ids=["relu6", "hsigmoid"],
)
def test_what_hls4ml_computes_otherwise(tmp_path, layer, maps, expected, least):
    found = of_hls4ml(tmp_path, maps, "io_stream", layer)
    assert np.abs(found - expected.reshape(len(maps), -1)).max() > least


def test_there_is_no_hswish(tmp_path):
    with pytest.raises(Exception, match="Failed to compile"):
        of_hls4ml(tmp_path, MAPS, "io_stream", HSWISH)


def test_a_map_times_one_pixel_is_refused_for_streams_and_wrong_in_registers(tmp_path):
    (tmp_path / "registers").mkdir()
    with pytest.raises(AssertionError, match="broadcasting merge not supported"):
        of_hls4ml(tmp_path, MAPS, "io_stream", *SCALE)
    expected = (MAPS * MAPS.mean(axis=(1, 2), keepdims=True)).reshape(len(MAPS), -1)
    assert np.abs(expected).max() < 100
    assert np.abs(of_hls4ml(tmp_path / "registers", MAPS, "io_parallel", *SCALE) - expected).max() > 1


def test_windows_that_overlap_end_streams_and_are_right_in_registers(tmp_path):
    (tmp_path / "registers").mkdir()
    with pytest.raises(ToolError, match="pool_height == CONFIG_T::stride_height"):
        of_hls4ml(tmp_path, MAPS.clip(0), "io_stream", *MAX_POOL)
    found = of_hls4ml(tmp_path / "registers", MAPS.clip(0), "io_parallel", *MAX_POOL)
    assert np.array_equal(found, windows_max(MAPS.clip(0)).reshape(len(MAPS), -1))
