"""Instructions of LLVM IR as the operators that an HLS tool makes of them, with widths and delays."""

import math
import re
from dataclasses import dataclass

from bitstreams.hls_checks.ir import CASTS, Function, Instruction, bits_of_type
from cost_models.hls_operators import Delays

DIVISIONS = frozenset(("sdiv", "udiv", "srem", "urem"))
_LOGIC = frozenset(("and", "or", "xor"))
_SHIFTS = frozenset(("shl", "lshr", "ashr"))
_WIRES = CASTS | {"freeze", "getelementptr", "extractvalue", "insertvalue"}
_NUMBER = re.compile(r"^-?\d+$")
_INTRINSIC = re.compile(r"^llvm\.(\w+)\.(sat|with|)")
_PARTS = {
    "smax": ("icmp", "select"),
    "smin": ("icmp", "select"),
    "umax": ("icmp", "select"),
    "umin": ("icmp", "select"),
    "abs": ("sub", "icmp", "select"),
    "uadd": ("add", "select"),
    "sadd": ("add", "icmp", "select"),
    "usub": ("sub", "select"),
    "ssub": ("sub", "icmp", "select"),
}
_ROTATIONS = ("fshl", "fshr")
_NO_HARDWARE = frozenset(("dbg", "lifetime", "assume", "expect", "donothing", "experimental"))


@dataclass(frozen=True, order=True)
class Operator:
    """An operator: its kind, as LLVM calls it, and the bits of its widest operand, as far as they may be used."""

    kind: str
    bits: int

    def __str__(self) -> str:
        return f"{self.kind} {self.bits}"


def is_constant(operand: str) -> bool:
    """Say whether an operand is the same in all hardware."""
    return not operand.startswith(("%", "@"))


class Operators:
    """The operators of a function, for one device."""

    def __init__(self, function: Function, delays: Delays) -> None:
        self._values = {each.name: each for each in function.instructions() if each.name}
        self._delays = delays
        self._bits: dict[str, int] = {}

    def bits_of(self, value: str, kind: str) -> int:
        """Return how many bits of a value of a type may differ from its sign or from zero."""
        width = bits_of_type(kind)
        if is_constant(value):
            number = int(value) if _NUMBER.match(value) else 1
            return min(width, max(1, (number if number >= 0 else ~number).bit_length() + (number < 0)))
        if value not in self._bits:
            self._bits[value] = width  # against a cycle through phis, and where the value is none of the function
            made = self._values.get(value.lstrip("%"))
            self._bits[value] = min(width, self._inferred(made, width)) if made else width
        return self._bits[value]

    def _inferred(self, made: Instruction, width: int) -> int:
        bits = [self.bits_of(operand, kind) for operand, kind in zip(made.operands, made.types, strict=True)]
        if made.opcode in ("zext", "sext", "trunc", "freeze"):
            return bits[0]
        if made.opcode in ("add", "sub"):
            return max(bits) + 1
        if made.opcode == "mul":
            return sum(bits)
        if made.opcode == "select":
            return max(bits[1:])
        if made.opcode == "and":
            return min(
                [each for each, text in zip(bits, made.operands, strict=True) if not text.startswith("-")] or bits
            )
        if made.opcode in ("or", "xor"):
            return max(bits) if not made.operands[-1].startswith("-") else width
        if made.opcode == "lshr" and _NUMBER.match(made.operands[1]):
            return max(1, bits[0] - int(made.operands[1]))
        if made.opcode == "shl" and _NUMBER.match(made.operands[1]):
            return bits[0] + int(made.operands[1])
        return width

    def parts(self, made: Instruction) -> tuple[Operator, ...]:
        """Return the operators of an instruction, one behind the other; none for wires, memories and calls."""
        kind = made.opcode
        if kind in _WIRES or kind in ("load", "store", "phi", "br", "switch", "ret", "alloca", "unreachable"):
            return ()
        if kind == "call":
            match = _INTRINSIC.match(made.detail)
            bits = max((bits_of_type(each) for each in made.types), default=0)
            if match and match[1] in _ROTATIONS:
                return () if is_constant(made.operands[-1]) else (Operator("shl", bits),)
            return tuple(Operator(part, bits) for part in _PARTS.get(match[1], ())) if match else ()
        bits = max(map(self.bits_of, made.operands, made.types), default=made.bits)
        has_constant = any(map(is_constant, made.operands))
        if kind in _LOGIC and has_constant and (made.bits > 1 or kind != "xor"):
            return ()  # a mask
        if kind in _SHIFTS:
            return () if is_constant(made.operands[1]) else (Operator(kind, made.bits),)
        if kind == "icmp" and made.operands[1] in ("0", "-1") and made.detail in ("slt", "sgt", "sge", "sle"):
            return ()  # the sign
        if kind == "icmp" and made.types[0] == "i1":
            return (Operator("xor", 1),)
        if kind == "select":
            chosen = max(
                self.bits_of(value, each) for value, each in zip(made.operands[1:], made.types[1:], strict=True)
            )
            if made.bits == 1 and any(map(is_constant, made.operands[1:])):
                return (Operator("and", 1),)  # a condition written as a selection
            return (Operator("select", max(chosen, 1)),)
        return (Operator(kind, bits),)

    def is_product(self, made: Instruction) -> bool:
        """Say whether an instruction multiplies by a variable."""
        return made.opcode == "mul" and not any(map(is_constant, made.operands))

    @staticmethod
    def kind(operator: Operator) -> str:
        """Return the kind of an operator in tables of delays and costs."""
        return "logic" if operator.kind in _LOGIC else "shift" if operator.kind in _SHIFTS else operator.kind

    def delay_ns(self, operator: Operator) -> float:
        """Return the delay of an operator; that of one that takes more than a period is infinite."""
        kind = self.kind(operator)
        if kind not in self._delays.fits:
            return math.inf
        return self._delays.delay_ns(kind, operator.bits)

    def mux_ns(self, inputs: int, bits: int) -> float:
        """Return the delay of a selection of one of several values."""
        return self._delays.mux_ns(inputs, bits)

    def is_known(self, made: Instruction) -> bool:
        """Say whether it is known what a call becomes: nothing, or operators; else it is a port, or a copy."""
        match = _INTRINSIC.match(made.detail)
        return match is not None and match[1] in (*_NO_HARDWARE, *_PARTS, *_ROTATIONS)
