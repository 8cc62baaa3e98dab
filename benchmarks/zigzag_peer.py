"""The peer's side of ``mapping_search.py``; runs where zigzag-dse is installed and nothing of this project is.

python benchmarks/zigzag_peer.py layers mobilenetv2    # its convolutions and products, as JSON
python benchmarks/zigzag_peer.py search mobilenetv2    # CPU seconds of its mapping search over the network
"""

import json
import logging
import sys
import tempfile
import time
from pathlib import Path

import onnx
import onnx.shape_inference
import zigzag
from zigzag.api import get_hardware_performance_zigzag

INPUTS = Path(zigzag.__file__).parent / "inputs"


def layers(network: str) -> list[dict[str, int | bool]]:
    """Shape of every convolution and matrix product of one of the networks that the package holds."""
    model = onnx.load(str(INPUTS / "workload" / f"{network}.onnx"), load_external_data=False)
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in graph.value_info}
    shapes |= {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in graph.input}
    weights = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    found: list[dict[str, int | bool]] = []
    for node in graph.node:
        if node.op_type == "Conv":
            attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
            _, in_channels, size, _ = shapes[node.input[0]]
            out_channels, _, kernel, _ = weights[node.input[1]]
            depthwise = attributes["group"] > 1
            stride, padding = attributes["strides"][0], attributes["pads"][0]
        elif node.op_type == "Gemm":
            out_channels, in_channels = weights[node.input[1]]
            size, kernel, stride, padding, depthwise = 1, 1, 1, 0, False
        else:
            continue
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "size": size, "kernel": kernel}
        found.append({**sizes, "stride": stride, "padding": padding, "depthwise": depthwise})
    return found


def search(network: str) -> float:
    """CPU seconds of the package's own search, with the settings its interface defaults to, for least latency."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        get_hardware_performance_zigzag(
            workload=str(INPUTS / "workload" / f"{network}.onnx"),
            accelerator=str(INPUTS / "hardware" / "tpu_like.yaml"),
            mapping=str(INPUTS / "mapping" / "tpu_like.yaml"),
            opt="latency",
            dump_folder=folder,
            loma_show_progress_bar=False,
        )
        return time.process_time() - start


if __name__ == "__main__":
    task, name = sys.argv[1:]
    print(json.dumps(layers(name) if task == "layers" else search(name)))
