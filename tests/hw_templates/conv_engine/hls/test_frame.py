"""The frame of the engine in C++: the rules of HLS that can be read off it, and how it counts cycles."""

import re
from pathlib import Path

import pytest
from support.engine_cpp import run_bench
from support.verilog.engines import ENGINES

HLS = Path(__file__).parents[4] / "hw_templates/conv_engine/hls"
SOURCES = sorted(path for path in HLS.iterdir() if path.suffix in {".cpp", ".h"} and path.name != "host_hls.h")
MOST_PARAMETERS = 10
CALL = re.compile(r"(?:Phase<(\w+_BUFFERS) == ([12])>::)?(\w+)\((.*)\)")


def region(name: str) -> list[str]:
    """Statements of a DATAFLOW region, without white space at their ends."""
    text = re.sub(r"//.*", "", (HLS / "conv_engine.cpp").read_text())
    body = text[text.index(f"\nvoid {name}(") :]
    body = body[body.index("{\n") + 2 : body.index("\n}\n")]
    assert "#pragma HLS DATAFLOW" in body
    lines = [line for line in body.splitlines() if not line.startswith("#pragma")]
    return [" ".join(part.split()) for part in "\n".join(lines).split(";") if part.strip()]


def parameters_of(stage: str) -> list[str]:
    """How a stage declares its parameters."""
    headers = " ".join(path.read_text() for path in SOURCES if path.suffix == ".h")
    declared = re.search(rf"\nvoid {stage}\((.*?)\);", headers, re.DOTALL)
    assert declared is not None, stage
    return [" ".join(part.split()) for part in declared[1].split(",")]


@pytest.mark.parametrize(("name", "processes"), [("overlap", 7), ("refill", 2)])
def test_a_region_is_calls_whose_processes_share_nothing(name: str, processes: int) -> None:
    """No memory is filled by two, and none is filled that another one reads; a port and a clock belong to one."""
    calls = [CALL.fullmatch(statement) for statement in region(name)]
    assert all(calls)
    assert len(calls) == processes
    owners: dict[tuple[str, str], str] = {}
    for call in calls:
        assert call is not None
        arguments = [part.strip() for part in call[4].split(",")]
        # The two loaders that share the weight port are never in one engine.
        others = f"{call[1]} {call[2]}" if call[1] == "WEIGHT_BUFFERS" else "all"
        for argument, parameter in zip(arguments, parameters_of(call[3]), strict=True):
            passed = parameter.startswith("const ") and "&" not in parameter
            assert argument.startswith("read<") == (parameter.startswith("const ") and "&" in parameter), argument
            if not passed and not argument.startswith("read<"):
                assert (argument, others) not in owners, f"{argument}: {owners[argument, others]} and {call[3]}"
                owners[argument, others] = call[3]


def test_no_function_has_more_parameters_than_can_be_looked_through() -> None:
    for path in SOURCES:
        text = re.sub(r"//.*", "", path.read_text())
        for found in re.finditer(
            r"^[\w&<>\s\"]*?\b(\w+)\(([^(){};]*(?:\([^()]*\)[^(){};]*)*)\)\s*(?:const )?[{;]", text, re.M
        ):
            depth = re.sub(r"<[^<>]*>", "", found[2])
            count = depth.count(",") + bool(depth.strip())
            assert count <= MOST_PARAMETERS, f"{path.name}: {found[1]} has {count} parameters"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_that_hls_cannot_build(path: Path) -> None:
    text = re.sub(r"//.*", "", path.read_text())
    if path.name == "widths.h":  # of which the host's part is not built
        text = text[: text.index("#else")]
    for word in (r"\(\*\w+\)\(", r"\bvirtual\b", r"\bnew\b", r"\bmalloc\b", r"\bthrow\b", r"\bstd::"):
        assert not re.search(word, text), word


def test_memories_are_banks_of_a_write_and_a_read_port() -> None:
    text = (HLS / "conv_engine.cpp").read_text()
    for name in ("maps", "ifmap", "weights", "sums", "residual", "parameters", "tables"):
        assert re.search(rf"ARRAY_PARTITION variable = {name} complete dim = 1\b", text)
        assert name == "residual" or re.search(rf"ARRAY_PARTITION variable = {name} complete dim = 2\b", text)
        assert re.search(rf"BIND_STORAGE variable = {name} type = ram_s2p impl = (bram|lutram) latency = [12]\b", text)


@pytest.mark.parametrize("name", ["double buffers", "single buffers, 3 pixels", "weight port of two words"])
def test_cycles_count_for_the_stage_that_is_waited_for(tmp_path: Path, name: str) -> None:
    assert run_bench(tmp_path, ENGINES[name], Path(__file__).parent / "sequencer.cpp", ["sequencer"]) == 8
