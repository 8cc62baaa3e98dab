import re
import struct

from codesign.run import Run, read_json


def png_size(content: bytes) -> tuple[int, int]:
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_the_page_shows_pictures_that_are_there(finished_run: Run) -> None:
    page = (finished_run.report / "index.html").read_text()
    pictures = re.findall(r'<img src="([^"]+)"', page)
    assert set(pictures) == {"front.png", "layers.png", "resources.png", "training.png", "predictor.png"}
    for name in pictures:
        width, height = png_size((finished_run.report / name).read_bytes())
        assert width > 400
        assert height > 200


def test_the_page_states_what_the_run_found(finished_run: Run) -> None:
    page = (finished_run.report / "index.html").read_text()
    project, fronts = read_json(finished_run.project / "project.json"), read_json(finished_run.fronts)
    assert f"{project['predicted']['latency_ms']:.4f} ms" in page
    assert f"{project['origin']['test_accuracy']['int8']:.2%}" in page
    for volume in fronts["hypervolumes"].values():
        assert f"{volume:.4f}" in page
    for layer in project["layers"]:
        assert f"<td>{layer['name']}</td>" in page
        assert f"<td>{layer['compute_cycles']:,}</td>" in page
