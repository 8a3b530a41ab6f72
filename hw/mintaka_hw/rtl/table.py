"""Constant tables and group-indexed state: the small memories beside the weights."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from amaranth.hdl import Array, C, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib.memory import Memory

from mintaka_hw.plan.memory import BLOCK_BITS, BLOCK_ROWS, DEEP_STATES, REGISTER_STATES, table_width


def packed(values: Iterable[int], width: int) -> int:
    """Lane values as one word, lane 0 in the low bits, each in two's complement of `width` bits."""
    word = 0
    for lane, value in enumerate(values):
        word |= (int(value) & ((1 << width) - 1)) << (lane * width)
    return word


def group_words(values: np.ndarray, lanes: int, width: int, padding: int = 0) -> list[int]:
    """(size_out,) as one word per group; lanes beyond the last neuron hold `padding`."""
    groups = -(-len(values) // lanes)
    padded = np.full(groups * lanes, padding, np.int64)
    padded[: len(values)] = values
    return [packed(row, width) for row in padded.reshape(groups, lanes)]


def is_block(words: list[int], width: int) -> bool:
    """Whether a constant memory is to be block RAM."""
    return len(words) > 1 and len(words) * width >= BLOCK_BITS


def rom(m: Module, name: str, words: list[int], width: int, address: Value, enable: Value | None = None) -> Value:
    """The word at `address`, one cycle later; a single word is just a constant.

    enable : with it the word stays until the next one is asked for.
    """
    if len(words) == 1:
        return C(words[0], width)
    attributes, depth = {}, len(words)
    if is_block(words, width):
        # Left alone, synthesis makes LUTs of narrow constants however deep they are. And of a depth that is no power of
        # two it makes stacks of wide blocks behind multiplexers, where narrow blocks that are as deep need fewer LUTs.
        attributes, depth = {"ram_style": "block"}, 1 << (len(words) - 1).bit_length()
    memory = Memory(shape=unsigned(width), depth=depth, init=words, attrs=attributes)
    m.submodules[name] = memory
    port = memory.read_port()
    m.d.comb += port.addr.eq(address)
    if enable is not None:
        m.d.comb += port.en.eq(enable)
    return port.data


def pipelined_rom(m: Module, name: str, words: list[int], width: int, addr_d2: Value, addr_d1: Value) -> Value:
    """The word at an address, two cycles after `addr_d2`, where the address is, or one after `addr_d1`, the same.

    Block RAM takes the two, the second for its output register: nothing but that register reads it, and it has neither
    enable nor reset, so that it can be the memory's own, without which block RAM is slow. Of a memory deeper than
    `BLOCK_ROWS` every part has its register: synthesis would put the multiplexer between them in front of it.
    """
    if not is_block(words, width):
        return rom(m, name, words, width, addr_d1)
    parts = []
    for first in range(0, len(words), BLOCK_ROWS):
        part, of_part = words[first : first + BLOCK_ROWS], f"{name}_{first // BLOCK_ROWS}" if first else name
        word = Signal(width, name=f"{of_part}_held", reset_less=True)
        m.d.sync += word.eq(rom(m, of_part, part, width, addr_d2[: (len(part) - 1).bit_length()]))
        parts.append(word)
    if len(parts) == 1:
        return parts[0]
    which = Signal(range(len(parts)), name=f"{name}_part", reset_less=True)
    m.d.sync += which.eq(addr_d1[BLOCK_ROWS.bit_length() - 1 :])
    return Array(parts)[which]


def pow2_split_rom(m: Module, name: str, words: list[int], width: int, addr_d2: Value, addr_d1: Value) -> Value:
    """`pipelined_rom` of any depth: in block RAM as two memories whose depths are powers of two, where that needs fewer
    words. What is read selects between them.
    """
    low = 1 << (len(words).bit_length() - 1)
    rest = len(words) - low
    if not is_block(words, width) or rest == 0 or 2 * (1 << (rest - 1).bit_length()) > low:
        return pipelined_rom(m, name, words, width, addr_d2, addr_d1)
    bit, bits = low.bit_length() - 1, max(1, (rest - 1).bit_length())
    lower = pipelined_rom(m, name, words[:low], width, addr_d2[:bit], addr_d1[:bit])
    upper = pipelined_rom(m, f"{name}_upper", words[low:], width, addr_d2[:bits], addr_d1[:bits])
    is_upper = Signal(name=f"{name}_from_upper", reset_less=True)
    m.d.sync += is_upper.eq(addr_d1[bit])
    return Mux(is_upper, upper, lower)


def lookup(values: np.ndarray, index: Value) -> Value:
    """The constant at `index`, in the same cycle and as gates: no memory. Behind the last constant comes the last."""
    width = table_width(values)
    return Array([C(int(value), signed(width)) for value in values])[index]


def state_latency(depth: int) -> int:
    """Cycles from `read` to the word of a `state_memory` of that depth."""
    return 2 if depth >= DEEP_STATES else 0


def state_memory(m: Module, name: str, depth: int, read: Value, write: Value, enable: Value, word: Value) -> Value:
    """One word per window and group, written at the clock edge; never read and written at the same address at once.

    `REGISTER_STATES` are registers, whose multiplexer shares the LUTs of what follows; a few more are read in the cycle
    of `read`; `DEEP_STATES` and more two cycles later, from block RAM and a register behind it. No reset: a sample's
    first step does not read it.
    """
    width = len(word)
    if depth <= REGISTER_STATES:
        kept = [Signal(width, name=f"{name}_{place}", reset_less=True) for place in range(depth)]
        for place, register in enumerate(kept):
            with m.If(enable & (write == place)):
                m.d.sync += register.eq(word)
        return Mux(read, kept[-1], kept[0]) if depth > 1 else kept[0]
    attributes = {"no_rw_check": 1} if depth >= DEEP_STATES else {}
    memory = Memory(shape=unsigned(width), depth=depth, init=[], attrs=attributes)
    m.submodules[name] = memory
    write_port = memory.write_port()
    read_port = memory.read_port() if depth >= DEEP_STATES else memory.read_port(domain="comb")
    m.d.comb += [
        write_port.addr.eq(write),
        write_port.data.eq(word),
        write_port.en.eq(enable),
        read_port.addr.eq(read),
    ]
    if depth < DEEP_STATES:
        return read_port.data
    held = Signal(width, name=f"{name}_held", reset_less=True)
    m.d.sync += held.eq(read_port.data)
    return held
