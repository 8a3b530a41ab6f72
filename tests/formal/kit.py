"""What the property modules share: free inputs, a look inside a component, the rules of a stream, and mutations."""

from __future__ import annotations

import inspect
import sys
import textwrap
from types import FrameType
from typing import Any

from amaranth.asserts import AnySeq
from amaranth.back import rtlil
from amaranth.hdl import (
    Assert,
    Assume,
    ClockDomain,
    Const,
    Elaboratable,
    Fragment,
    Module,
    Shape,
    Signal,
    Value,
    ValueCastable,
)
from amaranth.hdl._mem import MemoryInstance  # to read a memory beside its own ports; it has no public name
from amaranth.lib import wiring

from mintaka_hw.plan import LayerPlan


class Inside:
    """A component in a property module `m` (as `dut`), elaborated, so that properties can name what is in it.

    Signals are found by their names and by those of the Python variables that hold them in the component's methods, as
    Amaranth does not know the names of all. Paths are names of submodules, from the component down.
    """

    def __init__(self, m: Module, component: wiring.Component):
        self._m = m
        self._variables: list[tuple[Any, dict[str, Any]]] = []
        before = sys.getprofile()
        sys.setprofile(self._remember)
        try:
            self.fragment = Fragment.get(component, None)
        finally:
            sys.setprofile(before)
        m.submodules.dut = self.fragment

    def _remember(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and isinstance(frame.f_locals.get("self"), Elaboratable):
            self._variables.append((frame.f_locals["self"], dict(frame.f_locals)))

    def _at(self, path: tuple[str, ...]) -> Fragment:
        found = self.fragment
        for name in path:
            found = found.find_subfragment(name)
        return found

    def values(self, name: str, *path: str) -> list[Value]:
        """The signals of that name, and what variables so named hold, in the order in which the methods return."""
        owners = self._at(path).origins or ()
        held = [held[name] for owner, held in self._variables if name in held and any(owner is o for o in owners)]
        statements = self._at(path).statements.values()
        held += [signal for each in statements for signal in each._lhs_signals() if signal.name == name]
        found: dict[int, Value] = {}
        for value in held:
            if isinstance(value, (Value, ValueCastable)):
                found.setdefault(id(Value.cast(value)), value)
        return list(found.values())

    def value(self, name: str, *path: str) -> Value:
        """The component's port or attribute, or else the only one of `values`. Raises `LookupError` where there is none
        or more than one."""
        owners = self._at(path).origins or ()  # the component, and what a transformation of it shows of it
        owned = {id(value): value for owner in owners if (value := getattr(owner, name, None)) is not None}
        found = [value for value in owned.values() if isinstance(value, (Value, ValueCastable))]
        found = found or self.values(name, *path)
        if len(found) != 1:
            raise LookupError(f"{'.'.join(path) or 'the component'} has {len(found)} values named {name!r}, not 1")
        return found[0]

    def stored(self, address: Value, *path: str) -> Signal:
        """What the memory there holds at `address`, in the same cycle: one more read port, for the property alone."""
        memory = self._at(path)
        assert isinstance(memory, MemoryInstance), f"{path} is no memory"
        data = Signal(Shape.cast(memory._data.shape).width, name="stored")
        where = Signal(range(memory._data.depth), name="stored_at")
        memory.read_port(domain="comb", addr=where, data=data, en=Const(1, 1), transparent_for=())
        self._m.d.comb += where.eq(address)
        return data


def property_module() -> Module:
    """An empty one. Its clock has no reset: the first cycle is the one behind a reset, with all registers at `init`."""
    m = Module()
    m.domains.sync = ClockDomain(reset_less=True)
    return m


def rtlil_of(m: Module) -> str:
    """The netlist of a property module, named `top`; the clock is its only port."""
    fragment = Fragment.get(m, None)
    return rtlil.convert(fragment, ports=[fragment.domains["sync"].clk], name="top", emit_src=False)


def free(m: Module, port: Value, name: str) -> Signal:
    """`port` has any value in any cycle. Returns a signal of that value, whose name is in the traces."""
    seen = Signal(Value.cast(port).shape(), name=name)
    m.d.comb += [seen.eq(AnySeq(len(seen))), port.eq(seen)]
    return seen


def past(m: Module, value: Value, name: str) -> Signal:
    """The value of the cycle before; 0 in the first one."""
    then = Signal(Value.cast(value).shape(), name=name)
    m.d.sync += then.eq(value)
    return then


def rules(m: Module, stream: Any, name: str, excused: Value | None = None) -> Value:
    """Whether the stream keeps the rules: what is offered stays, with its payload, until it is taken.

    excused : a cycle in which an offer may be withdrawn (a restart).
    """
    waits = stream.valid & ~stream.ready
    waited = past(m, waits if excused is None else waits & ~excused, f"{name}_waited")
    payload = past(m, Value.cast(stream.payload), f"{name}_payload_waited")
    return ~waited | (stream.valid & (Value.cast(stream.payload) == payload))


def offers(m: Module, stream: Any, name: str, excused: Value | None = None) -> None:
    """The environment offers any words at any time into the input `stream`, and keeps the rules."""
    free(m, stream.valid, f"{name}_valid")
    free(m, Value.cast(stream.payload), f"{name}_payload")
    m.d.comb += Assume(rules(m, stream, name, excused))


def takes(m: Module, stream: Any, name: str, excused: Value | None = None) -> None:
    """The environment takes from the output `stream` whenever it likes; the component must keep the rules."""
    free(m, stream.ready, f"{name}_ready")
    m.d.comb += Assert(rules(m, stream, name, excused))


def transfer(stream: Any) -> Value:
    return stream.valid & stream.ready


class Followed:
    """One word on its way, any one: picked by the solver as it comes in, followed by counting the words ahead of it.

    A component that keeps words in order and neither loses nor repeats any gives every picked word when no other is
    ahead of it. As nothing is said of which one is picked, that then holds of every word.

    level : words inside. active : one of them is the picked one; value : what it was. ahead : words before it.
    due : it must be the next one that leaves.
    """

    def __init__(self, m: Module, entering: Value, value: Value, leaving: Value, most: int):
        self.level, self.ahead = Signal(range(most + 1), name="level"), Signal(range(most + 1), name="ahead")
        self.active, self.value = Signal(name="followed"), Signal(len(value), name="followed_value")
        pick = Signal(name="pick")
        m.d.comb += pick.eq(AnySeq(1))
        m.d.sync += self.level.eq(self.level + entering - leaving)
        self.due = self.active & (self.ahead == 0)
        with m.If(~self.active), m.If(pick & entering):
            m.d.sync += [self.active.eq(1), self.value.eq(value), self.ahead.eq(self.level - leaving)]
        with m.Elif(leaving):
            m.d.sync += [self.ahead.eq(self.ahead - 1), self.active.eq(~self.due)]
        m.d.comb += [
            Assert(~leaving | (self.level != 0)),
            Assert(self.level <= most),
            Assert(~self.active | (self.ahead < self.level)),
        ]


def mutated(thing: Any, old: str, new: str, **names: Any) -> Any:
    """A class or function with `old`, which occurs once in its source, replaced by `new`: what a proof must refuse.

    names : other things that it is to use under these names, such as mutated ones.
    """
    source = textwrap.dedent(inspect.getsource(thing))
    if source.count(old) != 1:
        raise ValueError(f"{thing.__qualname__} has {source.count(old)} places {old!r}, not 1: adapt the mutation")
    namespace = {**vars(sys.modules[thing.__module__]), **names}
    exec(compile(source.replace(old, new), f"<mutated {thing.__qualname__}>", "exec"), namespace)
    return namespace[thing.__name__]


def using(thing: Any, **names: Any) -> Any:
    """A class or function that uses other things under these names."""
    return mutated(thing, f" {thing.__name__}(", f" {thing.__name__}(", **names)


def sequencer_of(kind: Any, layer: LayerPlan) -> Any:
    """The sequencer of a layer."""
    return kind(layer.name, layer.edges, layer.events, layer.schedule, layer.folding.lists)
