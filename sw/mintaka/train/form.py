"""The structure of a network as plain dictionaries and tuples, for checkpoints: methods change it on the way."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from mintaka.artifact import ConvGeometry, Input, Integrator, LeakTerm, Pool, SynapticCurrent
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, EdgeSpec, JoinSpec, NeuronSpec, PoolSpec

PARTS = (ConvSpec, DenseSpec, JoinSpec, PoolSpec, EdgeSpec, NeuronSpec)
CONTRACT = (ConvGeometry, Integrator, LeakTerm, Pool, SynapticCurrent)
CLASSES: dict[str, Any] = {part.__name__: part for part in (*PARTS, *CONTRACT)}


def network_form(snn: SNN) -> dict[str, Any]:
    """Steps, layers, and whether it is quantized."""
    return {"time_steps": snn.time_steps, "specs": _form(tuple(snn.specs)), "integer": snn.integer}


def from_form(form: dict[str, Any], source: Input) -> SNN:
    """A network of this structure, untrained."""
    snn = SNN(source, form["time_steps"], list(_value(form["specs"])))
    snn.set_integer(form["integer"])
    return snn


def _form(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_form, value))
    if is_dataclass(value):
        return {"is": type(value).__name__, **{f.name: _form(getattr(value, f.name)) for f in fields(value)}}
    return value


def _value(form: Any) -> Any:
    if isinstance(form, tuple):
        return tuple(map(_value, form))
    if isinstance(form, dict):
        return CLASSES[form["is"]](**{key: _value(value) for key, value in form.items() if key != "is"})
    return form
