"""The IR that is looked at computes what the C++ computes, and keeps the form that the checks count on."""

import re
import subprocess
from pathlib import Path

import pytest
from support.hls.gathered import MAIN, SOURCE
from support.hls.tools import HEADERS, need_compiler
from support.mutations import drive, mutated_bytes

from bitstreams.hls_checks.compiler import NotCheckedError, compile_sources
from bitstreams.hls_checks.ir import read_module
from bitstreams.hls_checks.names import variable_name
from bitstreams.hls_checks.structs import split_structs
from hw_templates.foundation.errors import ToolError


def output_of(command: list[str], program: Path) -> str:
    subprocess.run(command, check=True, capture_output=True, text=True)
    return subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout


def test_what_is_looked_at_computes_the_same_as_under_gcc(tmp_path: Path) -> None:
    compiler = need_compiler()
    source, program = tmp_path / "gather.cpp", tmp_path / "program"
    source.write_text(SOURCE + MAIN)
    expected = output_of(["g++", "-std=c++17", "-O1", f"-I{HEADERS}", str(source), "-o", str(program)], program)
    compile_sources(compiler, [source], [HEADERS], tmp_path)
    command = [compiler.clang, "-S", "-emit-llvm", "-x", "c++", "/dev/null", "-o", str(tmp_path / "empty.ll")]
    subprocess.run(command, check=True)
    [layout] = re.findall(r"^target datalayout = .*$", (tmp_path / "empty.ll").read_text(), re.MULTILINE)
    native = tmp_path / "native.ll"
    lowered = (tmp_path / "lowered.ll").read_text()
    native.write_text(re.sub(r"^target datalayout = .*$", layout, lowered, flags=re.MULTILINE))
    assert "alloca [4 x i10]" in lowered  # the one array with a variable index; its object is taken apart
    assert "%class.Walk," not in lowered
    found = output_of([compiler.clang, "-O0", str(native), "-o", str(program)], program)
    assert found == expected
    assert len(expected.splitlines()) == 40 + 1024


def test_a_pipelined_loop_stays_one_and_those_inside_it_go(tmp_path: Path) -> None:
    source = tmp_path / "gather.cpp"
    # Of a known number of iterations, which LLVM would unroll.
    source.write_text(SOURCE.replace("while (more) {", "for (int trip = 0; trip < 5; ++trip) {"))
    module = compile_sources(need_compiler(), [source], [HEADERS], tmp_path).module
    [function] = [each for each in module.functions.values() if each.name == "gather"]
    [loop] = function.loops.values()
    assert loop.first.line == 1 + SOURCE[: SOURCE.index("while (more)")].count("\n")


def test_a_function_with_a_pipelined_loop_stays_apart_unless_it_asks_to_be_inlined(tmp_path: Path) -> None:
    source = tmp_path / "gather.cpp"
    call = (
        "\nvoid top(const Command& c, Word (&a)[2][1024], int32_t (&s)[1024], uint32_t& n) { gather(c, a, a, s, n); }\n"
    )
    source.write_text(SOURCE + call)
    functions = compile_sources(need_compiler(), [source], [HEADERS], tmp_path).module.functions.values()
    assert {each.name for each in functions if each.loops} == {"gather"}
    source.write_text(SOURCE.replace("    Walk walk;\n", "#pragma HLS INLINE\n    Walk walk;\n") + call)
    functions = compile_sources(need_compiler(), [source], [HEADERS], tmp_path).module.functions.values()
    assert {each.name for each in functions if each.loops} == {"gather", "top"}


def test_widths_are_those_of_the_source_and_not_of_the_host(tmp_path: Path) -> None:
    source = tmp_path / "gather.cpp"
    source.write_text(SOURCE)
    module = compile_sources(need_compiler(), [source], [HEADERS], tmp_path).module
    [function] = [each for each in module.functions.values() if each.name == "gather"]
    phis = {each.name: each.type for each in function.instructions() if each.opcode == "phi"}
    widths = {variable_name(f"%{name}"): width for name, width in phis.items()}
    assert {name: widths[name] for name in ("walk.row", "walk.col", "walk.at", "walk.newest", "iterations")} == {
        "walk.row": "i12",
        "walk.col": "i12",
        "walk.at": "i10",
        "walk.newest": "i2",
        "iterations": "i32",
    }


def test_a_tool_that_fails_is_named(tmp_path: Path) -> None:
    source = tmp_path / "gather.cpp"
    source.write_text('#include "missing.h"\n')
    with pytest.raises(NotCheckedError, match=r"not checked: clang.* failed: .*'missing.h' file not found"):
        compile_sources(need_compiler(), [source], [HEADERS], tmp_path)


OBJECT = """%struct.Pair = type { i12, i4 }

define i12 @first(i12 %0) {
entry:
  %pair = alloca %struct.Pair, align 2
  %1 = bitcast %struct.Pair* %pair to i8*
  call void @llvm.lifetime.start.p0i8(i64 4, i8* %1)
  %word = getelementptr inbounds %struct.Pair, %struct.Pair* %pair, i32 0, i32 0
  store i12 %0, i12* %word, align 2
  %2 = load i12, i12* %word, align 2
  call void @llvm.lifetime.end.p0i8(i64 4, i8* %1)
  ret i12 %2
}

declare void @llvm.lifetime.start.p0i8(i64, i8*)
declare void @llvm.lifetime.end.p0i8(i64, i8*)
"""


def test_an_object_becomes_a_variable_a_field() -> None:
    text = split_structs(OBJECT)
    assert "%pair-word = alloca i12" in text
    assert "%pair-1 = alloca i4" in text
    assert "alloca %struct.Pair" not in text
    [function] = read_module(text).functions.values()
    stored = next(each for each in function.instructions() if each.opcode == "store")
    assert stored.operands == ("%n0", "%word")


def test_an_object_that_is_used_as_a_whole_stays() -> None:
    whole = OBJECT.replace("  ret i12", "  call void @use(%struct.Pair* %pair)\n  ret i12")
    assert "%pair = alloca %struct.Pair" in split_structs(whole)


@pytest.mark.parametrize("text", ["", 'source_filename = "x"\n', "define void @f() {\nentry:\n  ret void\n"])
def test_text_that_is_no_ir_is_refused(text: str) -> None:
    with pytest.raises(ToolError, match="LLVM IR: "):
        read_module(text)


def test_each_damaged_copy_of_ir_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    source = tmp_path / "gather.cpp"
    source.write_text(SOURCE)
    compile_sources(need_compiler(), [source], [HEADERS], tmp_path)
    sound = (tmp_path / "lowered.ll").read_bytes()
    accepted, refused = drive(lambda content: read_module(content.decode(errors="replace")), mutated_bytes(sound, 300))
    assert accepted
    assert refused > 20
