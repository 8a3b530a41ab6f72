"""The structure of a network as plain dictionaries and tuples, for checkpoints: methods change it on the way."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from mintaka.artifact import ConvGeometry, Encoding, Input, Integrator, LeakTerm, Pool, Quantizer, SynapticCurrent
from mintaka.snn.network import SNN
from mintaka.snn.specs import ConvSpec, DenseSpec, EdgeSpec, JoinSpec, NeuronSpec, PoolSpec

PARTS = (ConvSpec, DenseSpec, JoinSpec, PoolSpec, EdgeSpec, NeuronSpec)
CONTRACT = (ConvGeometry, Encoding, Input, Integrator, LeakTerm, Pool, Quantizer, SynapticCurrent)
CLASSES: dict[str, Any] = {part.__name__: part for part in (*PARTS, *CONTRACT)}


def network_form(snn: SNN) -> dict[str, Any]:
    """Input, steps, layers, and whether it is quantized."""
    form = {"source": snn.source, "time_steps": snn.time_steps, "specs": tuple(snn.specs), "integer": snn.integer}
    return {key: _form(value) for key, value in form.items()}


def from_form(form: dict[str, Any], source: Input) -> SNN:
    """A network of this structure, untrained. source : its input, for forms of older checkpoints, which lack it."""
    snn = SNN(_value(form["source"]) if "source" in form else source, form["time_steps"], list(_value(form["specs"])))
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
