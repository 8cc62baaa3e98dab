"""What the sources ask an HLS tool for, told to LLVM in the text of its IR: what is inlined, and what is unrolled."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import networkx as nx

from bitstreams.hls_checks.ir import Function, LoopLines, Module, Place, read_module
from bitstreams.hls_checks.pragmas import Sources, read_sources

_NATIVE = re.compile(r"(?<=^target datalayout = \")(.*?)-n[\d:]+", re.MULTILINE)
_ATTRIBUTES = re.compile(r" (#\d+)(?=[^#]*$)")
_NOT_UNROLLED = "!987654321"
_PROCESS, _ASIDE = "noinline", "noinline optnone"


@dataclass(frozen=True)
class Chosen:
    """IR in which each choice is made, one text for each that was given, and the C++ that it was made from."""

    texts: tuple[str, ...]
    sources: Sources


def with_choices(texts: Sequence[str]) -> Chosen:
    """Return IR of C++ files in which the choices of an HLS tool are made.

    A function with a pipelined loop is a process and not inlined, unless its pragma says so; what it calls is; all
    other functions are left as they are, as nothing is looked at in them. A loop is not unrolled where it is pipelined,
    nor where it is outside of a pipelined loop and no pragma unrolls it. The target's native widths are taken out,
    since values would be widened to them.

    Raises:
        ToolError: a text is no IR.
        StorageError: a file that it was made from cannot be read.
    """
    modules = [read_module(text) for text in texts]
    sources = read_sources(sorted({path for module in modules for path in _files(module)}))
    calls = nx.DiGraph()
    apart: set[str] = set()
    inlined: set[str] = set()
    for function in (each for module in modules for each in module.functions.values()):
        calls.add_node(function.symbol)
        called = [each.detail for each in function.instructions() if each.opcode == "call"]
        calls.add_edges_from((function.symbol, each) for each in called)
        if _pipelined(function, sources):
            (inlined if _asks_to_be_inlined(function, sources) else apart).add(function.symbol)
    # A loop of what is inlined becomes one of the function that calls it.
    apart |= {caller for each in inlined for caller in nx.ancestors(calls, each)} - inlined
    processes = apart | inlined
    others = set(calls) - processes - {each for process in processes for each in nx.descendants(calls, process)}
    changed = []
    for text, module in zip(texts, modules, strict=True):
        kept = {metadata for function in module.functions.values() for metadata in _kept(function, sources)}
        attributes = dict.fromkeys(apart, _PROCESS) | dict.fromkeys(others, _ASIDE)
        lines = _changed(_NATIVE.sub(r"\1", text), attributes, kept)
        changed.append("\n".join(lines) + "\n")
    return Chosen(tuple(changed), sources)


def _files(module: Module) -> list[Path]:
    """Return the files that functions are defined in, those of the system left out."""
    names = {function.place.file for function in module.functions.values() if function.place}
    return [Path(name) for name in names if not name.startswith("/usr/")]


def loops_of(function: Function) -> list[LoopLines]:
    """Return the lines of a function's loops, inner ones last."""
    unique = {lines.metadata: lines for lines in function.loops.values()}
    return sorted(unique.values(), key=lambda lines: (lines.first.line, -lines.last.line))


def holds(lines: LoopLines, place: Place) -> bool:
    """Say whether a line is one of a loop."""
    return lines.first.file == place.file and lines.first.line <= place.line <= lines.last.line


def innermost(loops: Sequence[LoopLines], place: Place) -> LoopLines | None:
    """Return the innermost loop that a line is in."""
    around = [lines for lines in loops if holds(lines, place)]
    return min(around, key=lambda lines: lines.last.line - lines.first.line, default=None)


def _pipelined(function: Function, sources: Sources) -> set[LoopLines]:
    loops = loops_of(function)
    return {lines for pragma in sources.pipelines() if (lines := innermost(loops, pragma.place))}


def _asks_to_be_inlined(function: Function, sources: Sources) -> bool:
    return any(_is_in(function, pragma.place) for pragma in sources.of_kind("INLINE"))


def _is_in(function: Function, place: Place) -> bool:
    """Say whether a line is between the first and the last one of a function."""
    begin = function.place
    if begin is None or begin.file != place.file:
        return False
    places = [each.place.line for each in function.instructions() if each.place and each.place.file == begin.file]
    return begin.line <= place.line <= max(places, default=0)


def _kept(function: Function, sources: Sources) -> set[str]:
    """Return the metadata of the loops of a function that stay loops."""
    loops, pipelined = loops_of(function), _pipelined(function, sources)
    if not pipelined:
        return set()
    unrolled = {lines for pragma in sources.of_kind("UNROLL") if (lines := innermost(loops, pragma.place))}
    inside = {lines for lines in loops if any(holds(outer, lines.first) and outer != lines for outer in pipelined)}
    return {lines.metadata for lines in loops if lines in pipelined or lines not in inside | unrolled}


def _changed(text: str, attributes: dict[str, str], kept: set[str]) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("define "):
            symbol = line.partition("@")[2].partition("(")[0].strip('"')
            added = attributes.get(symbol)
            yield _ATTRIBUTES.sub(rf" {added} \1", line, count=1) if added else line
        elif line.startswith("!") and line.partition(" ")[0][1:] in kept and line.endswith("}"):
            yield f"{line[:-1]}, {_NOT_UNROLLED}}}"
        else:
            yield line
    if kept:
        yield f'{_NOT_UNROLLED} = !{{!"llvm.loop.unroll.disable"}}'
