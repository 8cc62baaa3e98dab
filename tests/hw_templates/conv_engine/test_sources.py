"""The rules of the HLS subset that can be read off the C++."""

import re
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[3] / "hw_templates/conv_engine"
SOURCES = sorted([*(ENGINE / "src").glob("*.cpp"), *(ENGINE / "include").glob("*.h")])
LOOP = re.compile(r"^\s*(for|while) \((.*)\) \{$")


def loops(text: str) -> list[tuple[str, str, list[str]]]:
    """(label, header, pragmas) of each loop."""
    found = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        match = LOOP.match(line)
        if match:
            label = lines[number - 1].strip() if number and lines[number - 1].strip().endswith(":") else ""
            pragmas = []
            for following in lines[number + 1 :]:
                if not following.strip().startswith(("#pragma HLS", "//")):
                    break
                pragmas.append(following.strip())
            found.append((label, match[2], pragmas))
    return found


def has_constant_bound(header: str) -> bool:
    """Whether a loop's condition compares with literals and compile-time constants only."""
    condition = header.split(";")[1] if ";" in header else header
    bound = re.split(r"<=|>=|<|>|!=", condition, maxsplit=1)[-1]
    return re.fullmatch(r"[\sA-Z0-9_+\-*/()]+", bound) is not None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_loops_have_bounds_or_say_how_often_they_run(path: Path) -> None:
    for label, header, pragmas in loops(path.read_text()):
        if not has_constant_bound(header):
            assert any("LOOP_TRIPCOUNT" in pragma for pragma in pragmas), (label, header)
            assert label, f"{header}: the loop has no name in reports"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_that_hls_cannot_build(path: Path) -> None:
    text = re.sub(r"//.*", "", path.read_text())
    # Function pointers, virtual calls, the heap, exceptions, recursion's usual suspects, and what kills bursts.
    for word in (r"\(\*\w+\)\(", r"\bvirtual\b", r"\bnew\b", r"\bmalloc\b", r"\bthrow\b", r"\bstd::"):
        assert not re.search(word, text), word
    # A volatile memory port has no bursts; only the time may change by itself.
    assert "volatile" not in text.replace("typedef const volatile uint32_t CycleClock;", "")


def split_arguments(text: str) -> list[str]:
    """Arguments between the parentheses of a call or declaration, which hold no others."""
    return [argument.strip() for argument in text.split(",")]


def regions(text: str) -> list[list[str]]:
    """Statements of each DATAFLOW region."""
    bodies = (part[part.index("\n") : part.index("\n}\n")] for part in text.split("#pragma HLS DATAFLOW")[1:])
    return [[" ".join(part.split()) for part in body.split(";") if part.strip(" }\n")] for body in bodies]


def test_dataflow_regions_are_canonical() -> None:
    # Calls and nothing else but constant conditions; whatever a process writes, no other process touches.
    headers = " ".join(path.read_text() for path in SOURCES if path.suffix == ".h")
    overlap, refill = regions((ENGINE / "src/conv_engine.cpp").read_text())
    for statements, written in ((overlap, 11), (refill, 4)):
        calls = [
            re.fullmatch(r"(?:} ?)*(?:if \((?:[A-Z]+_BUFFERS) == [12]\) { )?(\w+)\((.*)\)", one) for one in statements
        ]
        assert all(calls), statements
        writers: dict[str, str] = {}
        users: dict[str, set[str]] = {}
        for call in calls:
            assert call is not None
            declaration = re.search(rf"\bvoid {call[1]}\((.*?)\);", headers, re.DOTALL)
            assert declaration is not None
            parameters = split_arguments(" ".join(declaration[1].split()))
            for parameter, argument in zip(parameters, split_arguments(call[2]), strict=True):
                users.setdefault(argument, set()).add(call[1])
                if not parameter.startswith(("const ", "CycleClock&")) and re.search(r"[&*]", parameter):
                    assert argument not in writers, f"{argument} has two producers"
                    writers[argument] = call[1]
                if parameter.startswith("CycleClock&"):
                    assert len(users[argument]) == 1, f"{argument} has two readers"
        for argument, writer in writers.items():
            assert users[argument] == {writer}, f"{argument} is also used by {users[argument] - {writer}}"
        assert len(writers) == written


def test_every_stage_looks_at_the_time_before_and_after_its_loops() -> None:
    for name, stages in (("load", 3), ("compute", 1), ("store", 1)):
        text = (ENGINE / f"src/{name}.cpp").read_text()
        assert text.count("CycleClock& clock") == text.count("const uint32_t begin = clock;") == stages
        assert text.count("spent.cycles = clock - begin;") >= stages


def test_memories_are_partitioned_on_the_dimensions_that_are_unrolled() -> None:
    text = (ENGINE / "src/conv_engine.cpp").read_text()
    for name in ("ifmap", "weights", "ofmap", "maps"):
        for dimension in (1, 2):  # buffers, and banks of each
            assert re.search(rf"ARRAY_PARTITION variable = {name} complete dim = {dimension}\b", text)
    for name in ("residual", "parameters", "tables"):
        assert re.search(rf"ARRAY_PARTITION variable = {name} complete dim = 1\b", text)
