"""The drawing of the engine's dataflow as SVG: `python benchmarks/engine_drawing.py` writes it anew."""

from dataclasses import dataclass
from pathlib import Path

PLACE = Path(__file__).parent.parent / "hw_templates/conv_engine/dataflow.svg"
WIDTH, HEIGHT = 940, 360
STAGE, MEMORY = "#dbe9f6", "#f7ecd0"


@dataclass(frozen=True, kw_only=True)
class Box:
    """A stage, or a memory of two halves; the lines of its label are centred."""

    x: int
    y: int
    width: int
    height: int
    lines: tuple[str, ...]
    halves: bool = False

    @property
    def left(self) -> tuple[int, int]:
        """Middle of the left side."""
        return self.x, self.y + self.height // 2

    @property
    def right(self) -> tuple[int, int]:
        """Middle of the right side."""
        return self.x + self.width, self.y + self.height // 2

    def svg(self) -> list[str]:
        """The box as elements."""
        shape = f'x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}"'
        parts = [f'<rect {shape} rx="4" fill="{MEMORY if self.halves else STAGE}" stroke="#333"/>']
        if self.halves:
            middle = self.x + self.width // 2
            ends = f"M{middle} {self.y}v10M{middle} {self.y + self.height}v-10"
            parts.append(f'<path d="{ends}" stroke="#333"/>')
        for number, line in enumerate(self.lines):
            y = self.y + self.height // 2 + 5 + 16 * number - 8 * (len(self.lines) - 1)
            parts.append(f'<text x="{self.x + self.width // 2}" y="{y}" text-anchor="middle">{line}</text>')
        return parts


def _arrow(*points: tuple[int, int]) -> str:
    path = "M" + "L".join(f"{x} {y}" for x, y in points)
    return f'<path d="{path}" fill="none" stroke="#333" stroke-width="1.5" marker-end="url(#head)"/>'


def dataflow_svg() -> str:
    """Stages, memories with their two halves, ports, and what goes where in one slot."""
    memory = Box(x=20, y=40, width=80, height=230, lines=("memory",))
    load_ifmap = Box(x=170, y=40, width=120, height=50, lines=("load ifmap",))
    load_weights = Box(x=170, y=130, width=120, height=50, lines=("load weights",))
    load_residual = Box(x=170, y=220, width=120, height=50, lines=("load residual",))
    ifmap = Box(x=340, y=40, width=110, height=50, lines=("ifmap",), halves=True)
    weights = Box(x=340, y=130, width=110, height=50, lines=("weights",), halves=True)
    residual = Box(x=560, y=220, width=110, height=50, lines=("residual",), halves=True)
    compute = Box(x=500, y=40, width=110, height=140, lines=("PE array",))
    sums = Box(x=660, y=85, width=90, height=50, lines=("sums",), halves=True)
    store = Box(x=800, y=60, width=120, height=100, lines=("store:", "requantise,", "residual,", "activation"))
    maps = Box(x=340, y=300, width=270, height=44, lines=("map memory",), halves=True)
    boxes = (memory, load_ifmap, load_weights, load_residual, ifmap, weights, residual, compute, sums, store, maps)
    port = memory.x + memory.width
    arrows = [
        *(_arrow((port, stage.left[1]), stage.left) for stage in (load_ifmap, load_weights, load_residual)),
        *(_arrow(stage.right, held.left) for stage, held in ((load_ifmap, ifmap), (load_weights, weights))),
        _arrow(load_residual.right, residual.left),
        *(_arrow(held.right, (compute.x, held.right[1])) for held in (ifmap, weights)),
        _arrow(compute.right, sums.left),
        _arrow(sums.right, store.left),
        _arrow(residual.right, (830, residual.right[1]), (830, store.y + store.height)),
        _arrow((880, store.y), (880, 16), (60, 16), (60, memory.y)),
        _arrow((890, store.y + store.height), (890, maps.right[1]), maps.right),
        _arrow(maps.left, (145, maps.left[1]), (145, 78), (load_ifmap.x, 78)),
    ]
    notes = [
        '<text x="470" y="11" text-anchor="middle" font-size="11">results: one word a cycle</text>',
        '<text x="750" y="338" text-anchor="middle" font-size="11">maps that stay: a line a cycle</text>',
        '<text x="240" y="338" text-anchor="middle" font-size="11">rows of a ring</text>',
    ]
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#333"/></marker>'
    )
    body = [*(part for box in boxes for part in box.svg()), *arrows, *notes]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            'font-family="sans-serif" font-size="14">',
            f"<defs>{head}</defs>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            *body,
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    PLACE.write_text(dataflow_svg())
