"""What stands between the accelerator's bare streams and the world: bus and line interfaces, one module per kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mintaka_hw.host.axi import AxiHost
from mintaka_hw.plan import Plan, PlanError


class Host(Protocol):
    """A component that is the top of a design and holds the accelerator as its submodule `accelerator`."""

    def elaborate(self, platform: object) -> Any: ...

    def info(self) -> dict[str, Any]:
        """What `design.json` says of it, beside its kind."""
        ...

    def files(self, top: str) -> dict[str, str]:
        """Further files beside the Verilog: name -> text."""
        ...


HOSTS: dict[str, Callable[[Plan], Host]] = {"axi": AxiHost}


def make_host(kind: str, plan: Plan) -> Host:
    """The host interface of that kind. Raises PlanError where there is none, or it cannot carry the plan."""
    if kind not in HOSTS:
        raise PlanError(f"there is no host interface '{kind}': expected {' or '.join(('none', *HOSTS))}")
    return HOSTS[kind](plan)


__all__ = ["HOSTS", "Host", "make_host"]
