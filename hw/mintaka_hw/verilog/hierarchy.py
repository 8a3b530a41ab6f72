"""The accelerator's components as a list of modules with stable names and ports.

Amaranth names the ports of inner modules after whatever signals cross their borders, so that they change with the
design around them. Here every component is converted on its own, as if it were a top, with the ports that its
signature declares; its parent refers to it as an instance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, ClockSignal, Fragment, Instance, ResetSignal, Value
from amaranth.hdl._ir import PortDirection  # what `ports` of the back end wants; it has no public name
from amaranth.hdl._xfrm import TransformedElaboratable  # what a ResetInserter makes; it has no public name
from amaranth.lib import wiring
from amaranth.lib.fifo import FIFOInterface
from amaranth.lib.wiring import In

SEPARATOR = "__"  # between the design's name, a stage and what is inside; the design's own name has none
FIFO_INPUTS, FIFO_OUTPUTS = ("w_data", "w_en", "r_en"), ("w_rdy", "r_data", "r_rdy")


@dataclass(frozen=True)
class Port:
    """A port of a module; `value` is the component's signal."""

    name: str
    value: Value
    is_input: bool


@dataclass(frozen=True, eq=False)
class HardwareModule:
    """One component: `path` leads to it from the top (which has none), `ports` without clk and rst.

    rtlil : its netlist, in which its own components are instances of other modules.
    """

    name: str
    path: tuple[str, ...]
    component: Any
    ports: tuple[Port, ...]
    rtlil: str


@runtime_checkable
class Clearing(Protocol):
    """A component that resets some of those inside as a whole (by a `ResetInserter`), with this signal.

    One without it restarts parts of them, with its signal `restart`: they get a port for that.
    """

    clear: Value


@runtime_checkable
class Attributed(Protocol):
    """A component whose ports clk and rst have Verilog attributes."""

    clk_attributes: dict[str, str]
    rst_attributes: dict[str, str]


def modules_of(top: wiring.Component, name: str) -> list[HardwareModule]:
    """The top and every component inside, parents first. Module names are `name`, and `name`__stage__part inside."""
    found: list[HardwareModule] = []
    _convert(Fragment.get(top, None), top, name, (), found, ())
    return found


def _convert(
    fragment: Fragment,
    component: Any,
    top: str,
    path: tuple[str, ...],
    found: list[HardwareModule],
    restart: tuple[Port, ...],
) -> HardwareModule:
    """restart : the port that resets what is inside another component beside its `rst`, where there is one."""
    name = _free_name(SEPARATOR.join((top, *path)), {module.name for module in found})
    module = HardwareModule(name, path, component, (*ports_of(component), *restart), "")
    place = len(found)
    found.append(module)
    for index, (inner, inner_name, where) in enumerate(fragment.subfragments):
        owner = _owner(inner)
        if owner is not None:
            reset: Value = ResetSignal()
            more = restart
            if _is_wrapped(inner):
                if isinstance(component, Clearing):  # as it was before it was wrapped: the pin does the same
                    inner, reset = Fragment.get(owner, None), reset | component.clear
                else:
                    more = restart or (Port("restart", component.restart, is_input=True),)
            part = _convert(inner, owner, top, (*path, inner_name), found, more)
            fragment.subfragments[index] = (_instance(part, reset), inner_name, where)
    module = found[place] = replace(module, rtlil=_rtlil(fragment, module))
    return module


def _is_wrapped(inner: Fragment) -> bool:
    """Whether a `ResetInserter` has been put around it."""
    return any(isinstance(origin, TransformedElaboratable) for origin in inner.origins or ())


def _free_name(wanted: str, taken: set[str]) -> str:
    """`wanted`, or with a number where another path gave that name already: a node may be called `a__collector`."""
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _owner(fragment: Fragment) -> Any:
    """The component that a fragment was made from; None for a memory, which belongs into the module around it."""
    if type(fragment) is not Fragment:
        return None
    owners = [each for each in fragment.origins or () if isinstance(each, wiring.Component | FIFOInterface)]
    if not owners:
        raise TypeError(f"a submodule ({fragment.origins}) is neither a component nor a FIFO: its ports are not known")
    return owners[0]


def ports_of(component: Any) -> tuple[Port, ...]:
    """What the component's interface says, in its order; ports of no width are left out."""
    if isinstance(component, FIFOInterface):
        names = [(name, True) for name in FIFO_INPUTS] + [(name, False) for name in FIFO_OUTPUTS]
        found = [Port(name, getattr(component, name), is_input) for name, is_input in names]
    else:
        members = component.signature.flatten(component)
        found = [Port("__".join(map(str, path)), Value.cast(value), m.flow == In) for path, m, value in members]
    return tuple(port for port in found if len(port.value))


def _instance(module: HardwareModule, reset: Value) -> Instance:
    wires = [("i" if port.is_input else "o", port.name, port.value) for port in module.ports]
    return Instance(module.name, ("i", "clk", ClockSignal()), ("i", "rst", reset), *wires)


def _rtlil(fragment: Fragment, module: HardwareModule) -> str:
    sync = ClockDomain("sync")
    if isinstance(module.component, Attributed):
        sync.clk.attrs.update(module.component.clk_attributes)
        sync.rst.attrs.update(module.component.rst_attributes)
    fragment.add_domains(sync)
    ports = {"clk": (sync.clk, PortDirection.Input), "rst": (sync.rst, PortDirection.Input)}
    for port in module.ports:
        ports[port.name] = (port.value, PortDirection.Input if port.is_input else PortDirection.Output)
    text, _ = rtlil.convert_fragment(fragment, ports, module.name, emit_src=False)
    return str(text)
