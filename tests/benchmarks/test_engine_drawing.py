import re
import runpy
from pathlib import Path

from defusedxml import ElementTree

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/engine_drawing.py"))
WIDTH, HEIGHT, PLACE, dataflow_svg = (SCRIPT[name] for name in ("WIDTH", "HEIGHT", "PLACE", "dataflow_svg"))


def test_the_drawing_is_what_the_script_draws() -> None:
    assert PLACE.read_text() == dataflow_svg()


def test_everything_lies_on_the_sheet() -> None:
    root = ElementTree.fromstring(dataflow_svg())
    boxes = [element for element in root if element.tag.endswith("rect")]
    assert len(boxes) == 12
    for box in boxes:
        x, y, width, height = (int(box.get(name, 0)) for name in ("x", "y", "width", "height"))
        assert 0 <= x < x + width <= WIDTH
        assert 0 <= y < y + height <= HEIGHT
    labels = {element.text for element in root if element.tag.endswith("text")}
    assert {"load ifmap", "load weights", "load residual", "map memory", "sums"} <= labels
    assert len(re.findall("marker-end", dataflow_svg())) == 14
