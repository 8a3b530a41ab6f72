"""At full width no sum and no K of a layer leaves the interval that the plan proves, and the registers hold them."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from amaranth.asserts import AnyConst
from amaranth.hdl import Array, Assert, Assume, Const, Module, Mux, Signal, Value, signed
from formal.kit import Inside, free, mutated, property_module
from formal.lif import Lane, any_slots, narrower, with_other
from formal.prove import Proof
from handmade import HALF, dense_network
from handmade import signed as with_sign

from mintaka.artifact import (
    ConvGeometry,
    Edge,
    Input,
    IntTensor,
    LeakTerm,
    Network,
    Neuron,
    Node,
    Output,
    SynapticCurrent,
    check,
)
from mintaka.artifact.bounds import leak_range
from mintaka_hw.plan import LayerPlan, make_plan
from mintaka_hw.rtl import arithmetic
from mintaka_hw.rtl.layer import lif_parameters
from mintaka_hw.rtl.lif import LIFCore


class Channel:
    """Any channel of a layer: its bias, threshold, and the most and the least that its weights can add in a step.

    What may be is what keeps the contract's bounds, as every channel of the layer does.
    """

    def __init__(self, m: Module, layer: LayerPlan, bits: int):
        self.layer = layer
        self.bias, self.threshold, self.highest, self.lowest = (
            Signal(signed(bits), name=name) for name in ("B", "T", "highest", "lowest")
        )
        for signal in (self.bias, self.threshold, self.highest, self.lowest):
            m.d.comb += signal.eq(AnyConst(bits))
        edges = [(layer.bounds.sums[n], layer.schedule.plane_shift(n)) for n in layer.schedule.step_edges]
        most, least = (sum(end << shift for end, shift in ends) for ends in (
            [(each.hi, shift) for each, shift in edges], [(each.lo, shift) for each, shift in edges]))  # fmt: skip
        m.d.comb += [
            Assume((self.highest >= 0) & (self.highest <= most)),
            Assume((self.lowest <= 0) & (self.lowest >= least)),
            Assume((self.bias >= int(layer.datapath.bias.min())) & (self.bias <= int(layer.datapath.bias.max()))),
        ]
        if layer.datapath.threshold is not None:
            m.d.comb += Assume(self.threshold >= int(layer.datapath.threshold.min()))
            m.d.comb += Assume(self.threshold <= int(layer.datapath.threshold.max()))
        for low, high in self._k():
            m.d.comb += Assume((low >= layer.bounds.k.lo) & (high <= layer.bounds.k.hi))
        if layer.bounds.j is not None:
            kept = self._kept()
            m.d.comb += Assume(self.lowest + kept[0] >= layer.bounds.j.lo)
            m.d.comb += Assume(self.highest + kept[1] <= layer.bounds.j.hi)

    def _k(self) -> list[tuple[Value, Value]]:
        """Of K, the least and the most in every step."""
        low, high, stored = self.bias + self.lowest, self.bias + self.highest, self.layer.datapath.state_max
        if self.layer.datapath.membrane is None:
            return [(low * step, high * step) for step in range(1, self.layer.schedule.time_steps + 1)]
        kept = self._kept()
        return [(low + kept[0] - stored, high + kept[1] + stored)]

    def _kept(self) -> tuple[int, int]:
        """What is left of a synaptic current."""
        current = self.layer.datapath.current
        if current is None:
            return 0, 0
        kept = leak_range(current.leak, current.max)
        return min(kept.lo, 0), max(kept.hi, 0)

    def begins(self, begin: Value, step: Value) -> Value:
        """Whether an accumulation can begin so in that step, by what the step before has left."""
        layer, bias, stored = self.layer, self.bias, self.layer.datapath.state_max
        if layer.datapath.current is not None:
            low, high = self._kept()
            return Mux(step == 0, begin == 0, (begin >= low) & (begin <= high))
        if layer.datapath.membrane is None:  # the sums of all steps so far
            lows, highs = (
                [bias + bound * number for number in range(layer.schedule.time_steps)]
                for bound in (bias + self.lowest, bias + self.highest)
            )
            return (begin >= Array(lows)[step]) & (begin <= Array(highs)[step])
        low, high = bias - stored, bias + stored
        if layer.schedule.preloads_in_first_step:
            low, high = low + self.lowest, high + self.highest
        return Mux(step == 0, begin == bias, (begin >= low) & (begin <= high))


def sums_stay_in_their_intervals(kind: Any, layer: LayerPlan) -> Module:
    """Any channel of a layer, events in any order: what is left of its weights bounds what may still come.

    All that is assumed of the events of a group: its positive weights together add no more than they do if every input
    has its largest value, and its negative weights likewise. The first slot begins with what the step before has left.
    """
    assert not layer.schedule.preloads
    m = property_module()
    parameters = lif_parameters(layer)
    inside = Inside(m, core := kind(parameters))
    any_slots(m, core, parameters)
    bits = max(parameters.accumulator_width, parameters.k_width) + 2
    lane = Lane(m, core, parameters, 0, bits)
    channel = Channel(m, layer, bits)
    merged = layer.schedule.preloads_in_first_step

    # ---- what the channel has left to add in this group
    above, below = Signal(signed(bits), name="left_above"), Signal(signed(bits), name="left_below")
    above_now, below_now = Mux(core.first, channel.highest, above), Mux(core.first, channel.lowest, below)
    adds, weight = lane.weight_now > 0, lane.weight_now

    # ---- the slots: only in the first step a direct input has events, later its sum comes with the start
    steps = range(layer.schedule.time_steps)
    any_step, step_before, begun = Signal(steps), Signal(steps, name="step"), Signal()
    step = Mux(core.first, free(m, any_step, "any_step"), step_before)
    with m.If(core.valid):
        m.d.sync += [
            begun.eq(1),
            step_before.eq(step),
            above.eq(above_now - Mux(adds, weight, 0)),
            below.eq(below_now - Mux(adds, 0, weight)),
        ]
    m.d.comb += [
        Assume(any_step < layer.schedule.time_steps),
        Assume(core.first | begun | ~core.valid),
        Assume(~(core.valid & core.first) | channel.begins(core.start[0], step)),
        Assume(~core.valid | Mux(adds, weight <= above_now, weight >= below_now)),
    ]
    if layer.datapath.fires:
        m.d.comb += Assume(core.threshold[0] == channel.threshold)
    if merged:
        m.d.comb += Assume(~core.valid | (step == 0) | (weight == 0))
    if layer.datapath.current is not None:  # U + B
        before, stored = core.membrane[0], layer.datapath.state_max
        m.d.comb += Assume((before >= channel.bias - stored) & (before <= channel.bias + stored))

    # ---- so that no sum leaves its interval
    ranges = layer.datapath.ranges
    sums = (lane.sum <= channel.highest - above) & (lane.sum >= channel.lowest - below) & (above >= 0) & (below <= 0)
    quiet = (step_before == 0) | (lane.sum == 0) if merged else Const(1, 1)
    m.d.comb += [
        Assert(step_before < layer.schedule.time_steps),
        Assert(~begun | (channel.begins(lane.begin, step_before) & sums & quiet)),
        Assert(~begun | ((lane.held >= ranges.accumulator.lo) & (lane.held <= ranges.accumulator.hi))),
        Assert(~lane.complete | ((lane.k >= ranges.k.lo) & (lane.k <= ranges.k.hi))),
        Assert(inside.value("accumulator_0") == lane.held),
        Assert(~lane.complete | (inside.value("k_complete_0") == lane.k)),
    ]
    if layer.datapath.membrane is None:  # the next step begins with this sum
        after = Mux(step_before == layer.schedule.time_steps - 1, 0, step_before + 1)
        m.d.comb += Assert(~lane.complete | (after == 0) | channel.begins(lane.k + channel.bias, after))
    return m


def signs_turn_weights(kind: Any, bits: int) -> Module:
    """A weight of so many bits that is not the least of them, and its opposite where asked for."""
    m = property_module()
    weight, on, found = Signal(signed(bits)), Signal(), Signal(signed(bits))
    free(m, weight, "weight")
    free(m, on, "on")
    m.d.comb += [
        found.eq(kind(weight, on)),
        Assume(weight != -(2 ** (bits - 1))),
        Assert(found == Mux(on, -weight, weight)),
    ]
    return m


# ---- the layers, of one lane


def dense(sizes: tuple[int, ...], layer: int = 0, kind: str = "spikes", bits: int = 1) -> LayerPlan:
    return make_plan(dense_network(sizes, kind=kind, bits=bits), 1).layers[layer]


def of_signed(sizes: tuple[int, ...], bits: int) -> LayerPlan:
    return make_plan(with_sign(dense_network(sizes, kind="direct", bits=bits)), 1).layers[0]


def weights(*shape: int) -> IntTensor:
    return IntTensor(np.random.default_rng(len(shape)).integers(-7, 8, shape).astype(np.int8), 4)


def neurons(number: int, current: SynapticCurrent | None = None) -> Neuron:
    return Neuron(IntTensor(np.full(number, 5, np.int8), 8), ">", "zero", None, HALF, 4, 0, current)


def planned(shape: tuple[int, ...], *nodes: Node) -> LayerPlan:
    """The last of the nodes, before a head."""
    last = nodes[-1]
    head = Node("head", "dense", (Edge(last.name, 0, weights(10, last.size_out)),), last.shape_out, (10,))
    check(network := Network("full", 4, Input("input", shape, "spikes", 1), (*nodes, head), Output("head")))
    return next(layer for layer in make_plan(network, 1).layers if layer.name == last.name)


def recurrent() -> LayerPlan:
    edges = (Edge("input", 0, weights(128, 784)), Edge("loop", 1, weights(128, 128)))
    return planned((784,), Node("loop", "dense", edges, (784,), (128,), weights(128), neurons(128)))


def cuba() -> LayerPlan:
    current = SynapticCurrent((LeakTerm(1, 0), LeakTerm(-1, 2)), 8)
    edges = (Edge("input", 0, weights(128, 784)),)
    return planned((784,), Node("cuba", "dense", edges, (784,), (128,), weights(128), neurons(128, current)))


def residual() -> tuple[Node, Node]:
    """Two convolutions of 16 and 32 channels; the second one also sees the input, by a shortcut that counts twice."""
    same, point = ConvGeometry((1, 1), (1, 1), 1), ConvGeometry((1, 1), (0, 0), 1)
    first, second = (16, 7, 7), (32, 7, 7)
    shortcut = Edge("input", 0, weights(32, 16, 1, 1), shift=1, conv=point)
    return (
        Node("conv", "conv2d", (Edge("input", 0, weights(16, 16, 3, 3), conv=same),), first, first, None, neurons(16)),
        Node(
            "block",
            "conv2d",
            (Edge("conv", 0, weights(32, 16, 3, 3), conv=same), shortcut),
            first,
            second,
            weights(32),
            neurons(32),
        ),
    )


def _width(name: str, what: str, layer: LayerPlan, faults: dict[str, Any], fault_depth: int, depth: int = 1) -> Proof:
    claim = f"no sum or K of {what} leaves its proven interval, whatever comes in whatever order"
    build = partial(sums_stay_in_their_intervals, layer=layer)
    return Proof(f"width-{name}", claim, build, LIFCore, faults, depth, fault_depth=fault_depth)


BELOW = mutated(arithmetic.negated, "value[:place].any()", "value[place - 1]")
MNIST = (784, 128, 10)
NARROWER = {"a narrower accumulator": narrower}
OF_5_BITS = {"an accumulator of 5 bits": with_other(accumulator_width=5)}
OF_10_BITS = {"an accumulator of 10 bits": with_other(accumulator_width=10)}
PROOFS = [
    _width("small", "6-4-2 W4U4 on spikes", dense((6, 4, 2)), NARROWER, 10),
    _width("spikes", "784-128-10 W4U4 on spikes", dense(MNIST), OF_5_BITS, 8),
    _width("direct", "784-128-10 W4U4 on numbers of 8 bits", dense(MNIST, kind="direct", bits=8), NARROWER, 3),
    _width("signed", "784-128-10 W4U4 on signed numbers of 8 bits", of_signed(MNIST, 8), NARROWER, 3),
    _width("head", "the head of 784-128-10 W4, which sums over 4 steps", dense(MNIST, 1), OF_10_BITS, 3),
    _width("conv", "a convolution 3x3 of 16 to 16 channels, W4U4", planned((16, 7, 7), residual()[0]), OF_5_BITS, 8),
    _width(
        "residual", "a convolution with a shortcut that counts twice", planned((16, 7, 7), *residual()), OF_5_BITS, 8
    ),
    _width("recurrent", "784-128 W4U4 with 128 of its own spikes", recurrent(), OF_5_BITS, 8),
    _width(
        "cuba",
        "784-128 W4U4 of CUBA-LIF neurons, currents of 8 bits",
        cuba(),
        OF_5_BITS | {"a K of 4 bits": with_other(k_width=4)},
        8,
        depth=4,  # K comes cycles behind its sum
    ),
    Proof(
        "negated",
        "where the sign's bit-plane of an input is set, a weight of 9 bits counts negative",
        partial(signs_turn_weights, bits=9),
        arithmetic.negated,
        {"a bit looks at its neighbour only": BELOW},
        depth=1,
    ),
]
