"""How large the numbers of a network can be: for the artifact's rules, recipes, networks in training and messages."""

from __future__ import annotations

from dataclasses import dataclass

from mintaka.errors import is_integer, quoted


@dataclass(frozen=True)
class Range:
    """Integers from `least` to `most`, both included."""

    least: int
    most: int

    def __contains__(self, value: object) -> bool:
        return is_integer(value) and self.least <= int(value) <= self.most

    def __str__(self) -> str:
        return f"{self.least:,} {'or' if self.most == self.least + 1 else 'to'} {self.most:,}"

    def problem(self, value: object) -> str:
        """What is wrong with what is no integer or outside, for a sentence that begins with its name."""
        kind = "" if is_integer(value) else "an integer, "
        return f"must be {kind}{self}, got {quoted(value)}"

    def check(self, value: int) -> int:
        """`value`. Raises ValueError where it is none of them."""
        if value not in self:
            raise ValueError(self.problem(value))
        return value

    def require(self, value: object, what: str, error: type[Exception]) -> None:
        """Raise `error` where `value` is none of them; the sentence begins with `what`."""
        if value not in self:
            raise error(f"{what} {self.problem(value)}")


TIME_STEPS = Range(1, 1024)
INPUT_BITS = Range(1, 16)
SIGNED_INPUT_BITS = Range(2, INPUT_BITS.most)  # one bit holds no sign
LEVELS = Range(2, 2**INPUT_BITS.most)  # of numbers that become spikes
THERMOMETER_LEVELS = Range(3, LEVELS.most)  # two are repeated

WEIGHT_BITS = Range(1, 8)
CODEBOOK_BITS = Range(1, WEIGHT_BITS.most - 1)  # with more, it saves nothing
MEMBRANE_BITS = Range(2, 16)  # of synaptic currents, too
BOUNDARY_BITS = Range(2, 8)  # of membranes that are stored by a table of boundaries
TENSOR_BITS = Range(1, 32)  # of thresholds, biases and boundaries
ACCUMULATOR_BITS = Range(1, 40)
COUNT = Range(1, 2**16 - 1)  # the largest that a pool or a join emits

INPUT_SHIFT = Range(0, 31)
SHIFT = Range(0, 15)
LEAK_SHIFT = Range(0, 31)
LEAK_TERMS = Range(0, 4)
DELAY = Range(0, 1)
REFRACTORY = Range(0, 255)
KERNEL = Range(1, 64)  # of convolutions and pools, and the stride of pools
PADDING = Range(0, KERNEL.most - 1)
STRIDE = Range(1, 2**16 - 1)
MARGIN = Range(0, 2**41)  # no two logits are further apart

NODES = Range(1, 1024)
EDGES = Range(1, 64)  # of one node
ALL_EDGES = Range(1, 4096)
ELEMENTS = Range(1, 2**22)  # of one shape
NEURONS = Range(1, 2**24)  # elements of all nodes
# Of all nodes, in one time step: what a dense, convolving, pooling or joining loop visits.
CONNECTIONS = Range(0, 2**32)
