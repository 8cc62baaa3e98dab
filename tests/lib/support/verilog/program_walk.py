"""A whole program walked over step by step: what every map in memory is made of, and whether all was read in time."""

import numpy as np
from support.verilog.descriptor_walk import Buffers, DescriptorWalk, Memory, Numbers, WalkError
from support.verilog.plain_layers import plain_result
from support.verilog.random_engine_chains import Chain

from codesign.emit.program import CompiledProgram
from hw_templates.conv_engine import isa


def walk_program(chain: Chain, compiled: CompiledProgram, changes: dict[int, dict[str, int]] | None = None) -> None:
    """Run a chain's program on numbers and compare each map that it leaves in memory with plain geometry.

    Memory is read as early as the engine may, and what is written is seen as late as it may be; see
    :meth:`support.verilog.descriptor_walk.DescriptorWalk.run_slots`.

    Args:
        chain: the layers.
        compiled: their program.
        changes: other values of fields of some steps.

    Raises:
        WalkError: the engine would leave a buffer, or read what is not there yet; or a map is not what it must be.
    """
    program, word, shape = compiled.program, chain.shape.accelerator.axi_bytes, chain.shape
    rng = np.random.default_rng(0)
    map_words = 2 * shape.accelerator.map_depth * shape.accelerator.map_banks
    numbers = rng.integers(0, 1 << 63, (3, (program.arena_words + map_words + 1) * word), dtype=np.uint64)
    content = np.frombuffer(program.arena, np.int8).astype(np.int64)
    # A byte stands for its value, and so do its halves.
    halves = ((content & 15) ^ 8) - 8, content >> 4
    numbers[:, : len(content)] = np.stack([content, *halves]).astype(np.uint64)
    maps = _given_maps(chain, program.image_word, numbers)
    records = np.frombuffer(program.arena, isa.DESCRIPTOR, program.layer_count).copy()
    for index, fields in (changes or {}).items():
        for name, value in fields.items():
            records[name][index] = value
    memory = Memory(numbers, program.arena_words, word)
    buffers = Buffers(shape, numbers[0, -1])
    walks = [DescriptorWalk(record, shape, memory, buffers) for record in records]
    walks[0].begin()
    for index, walk in enumerate(walks):
        walk.run_slots(walks[index + 1] if index + 1 < len(walks) else None, alone=index == 0)
    made = {chain.nodes[step.layer].name: step for step in reversed(compiled.steps) if step.places.ofmap.ring is None}
    for node in chain.nodes:
        maps[node.name] = plain_result(node, maps)
        if node.name in made:
            place = made[node.name].places.ofmap
            channels, height, width = maps[node.name].shape
            there = numbers[0].reshape(-1, word)[place.word : place.word + height * width * place.pixel_words]
            there = there.reshape(height, width, -1)[..., :channels].transpose(2, 0, 1)
            if not np.array_equal(there, maps[node.name]):
                raise WalkError(f"{node.name} is not what it must be")


def _given_maps(chain: Chain, image_word: int, numbers: Numbers) -> dict[str, Numbers]:
    """Return the numbers of the given maps, which lie one behind the other, by name."""
    accelerator = chain.shape.accelerator
    maps, word = {}, image_word
    for name, (channels, height, width) in chain.given.items():
        pixel = -(-channels // accelerator.axi_bytes)
        flat = numbers[0].reshape(-1, accelerator.axi_bytes)[word : word + height * width * pixel]
        maps[name] = flat.reshape(height, width, -1)[..., :channels].transpose(2, 0, 1).copy()
        word += -(-height * width * pixel // accelerator.weight_port_words) * accelerator.weight_port_words
    return maps
