"""C++ made into LLVM IR that resembles what an HLS tool schedules: one function a process, flat loops, selections.

clang 14 alone is taken: other versions name and shape the IR otherwise, and what is read from it would have to be
checked anew. Its passes are chosen so that loops inside a pipelined one are unrolled, as HLS does; that conditions
become selections (``simplifycfg`` with a high threshold); that a loop decides on its next iteration in the one before
(``loop-rotate``), as hardware must; and that no jump threading turns selections into branches, which would hide what
recurs.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bitstreams.hls_checks.choices import with_choices
from bitstreams.hls_checks.ir import Module, read_module
from bitstreams.hls_checks.pragmas import Sources
from bitstreams.hls_checks.structs import split_structs
from hw_templates.foundation.errors import ToolError

LLVM_VERSION = 14
TIMEOUT_S = 600

_FOLDER = Path(f"/usr/lib/llvm-{LLVM_VERSION}/bin")
_VERSION = re.compile(r"version (\d+)\.\d+")
_SELECTIONS = "simplifycfg<bonus-inst-threshold=100>"
_FLAGS = (
    *("-x", "c++", "-S", "-emit-llvm", "-std=c++17", "-O2", "-g1", "-fno-discard-value-names"),
    *("-DENGINE_EXACT_BITS", "-Wno-unknown-pragmas", "-Xclang", "-disable-llvm-passes"),
)
_INLINING = "cgscc(inline),function(mem2reg)"
_PASSES = (
    "function(sroa,early-cse,loop-rotate,loop-unroll-full,instcombine,loop-unroll-full,sroa,instcombine,"
    f"{_SELECTIONS},early-cse,sroa,instcombine,{_SELECTIONS},instcombine,{_SELECTIONS},early-cse)"
)
_THRESHOLDS = (
    "-phi-node-folding-threshold=1000",
    "-two-entry-phi-node-folding-threshold=1000",
    "-inline-threshold=1000000",
    "-unroll-threshold=100000000",
    "-rotation-max-header-size=1000000",
)


class NotCheckedError(ToolError):
    """The checks could not be made; whether the code would pass them is not known."""


@dataclass(frozen=True)
class Compiler:
    """The programs of LLVM 14."""

    clang: str
    opt: str
    link: str


@dataclass(frozen=True)
class Compiled:
    """Sources as LLVM IR, and the texts that it was made from."""

    module: Module
    sources: Sources


def find_compiler() -> Compiler:
    """Return clang, opt and llvm-link of LLVM 14.

    Raises:
        NotCheckedError: one is missing, or all that are there are of another version.
    """
    return Compiler(_find("clang", "clang"), _find("opt", "llvm"), _find("llvm-link", "llvm"))


def _find(name: str, package: str) -> str:
    found = []
    for program in (f"{name}-{LLVM_VERSION}", str(_FOLDER / name), name):
        if path := shutil.which(program):
            text = _run([path, "--version"])
            match = _VERSION.search(text)
            if match and int(match[1]) == LLVM_VERSION:
                return path
            found.append(f"{path} is {match[0] if match else 'of an unknown version'}")
    where = "; ".join(found) or f"no {name} on the PATH"
    install = f"apt-get install {package}-{LLVM_VERSION}"
    raise NotCheckedError(f"not checked: {name} {LLVM_VERSION} is needed, {where} (Debian: {install})")


def compile_sources(compiler: Compiler, sources: Sequence[Path], include: Sequence[Path], folder: Path) -> Compiled:
    """Compile C++ files to LLVM IR, link them and read the result.

    Args:
        compiler: from :func:`find_compiler`.
        sources: the files.
        include: folders of their headers.
        folder: takes the IR of each step; that which is read is ``lowered.ll``.

    Raises:
        NotCheckedError: a program failed, or the IR cannot be read.
    """
    raw = [folder / f"{number}_{source.stem}.ll" for number, source in enumerate(sources)]
    for source, path in zip(sources, raw, strict=True):
        command = [compiler.clang, *_FLAGS, *(f"-I{each}" for each in include), str(source), "-o", str(path)]
        _run(command)
    linked, inlined, split, lowered = (folder / f"{name}.ll" for name in ("linked", "inlined", "split", "lowered"))
    try:
        texts = with_choices([path.read_text() for path in raw])
        for path, text in zip(raw, texts.texts, strict=True):
            path.write_text(text)
        _run([compiler.link, "-S", *map(str, raw), "-o", str(linked)])
        _run([compiler.opt, "-S", f"-passes={_INLINING}", *_THRESHOLDS, str(linked), "-o", str(inlined)])
        split.write_text(split_structs(inlined.read_text()))
        _run([compiler.opt, "-S", f"-passes={_PASSES}", *_THRESHOLDS, str(split), "-o", str(lowered)])
        return Compiled(read_module(lowered.read_text()), texts.sources)
    except NotCheckedError:
        raise
    except ToolError as error:
        raise NotCheckedError(f"not checked: {error}") from error


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotCheckedError(f"not checked: {command[0]} did not run ({error})") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines() or ["?"]
        raise NotCheckedError(f"not checked: {Path(command[0]).name} failed: {lines[0][:300]}")
    return done.stdout
