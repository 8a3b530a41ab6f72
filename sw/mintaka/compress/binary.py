"""Binary weights by weight-threshold balancing (Wang et al.): one bit per weight.

    w = a b,   b = -1 or +1,   a > 0 of the output channel;   with spikes s and in real numbers
    U + a sum(b s) + B > T     if and only if     U / a + sum(b s) + B / a > T / a

so a neuron adds and subtracts its inputs, and `a` goes into what each channel has anyway: threshold, bias, reset and
the unit of its membrane. Nothing is approximated by it; what rounds is what rounds for any width (B, R and the stored
membrane are integers). No code of its own is needed for `a`: the BatchNorm stands over sum(b s) and its folding
(`mintaka.snn.norm`) gives T / a as floor(1 / G), whatever `a` was. The head has no threshold, so all its weights share
one `a`, which scales the logits and changes no class.

In training b = sign(w) (0 gives +1) in every forward, straight-through where |w| < 2 mean|w|
(`mintaka.snn.quantizer`).

What it saves in hardware: a weight memory of one bit per weight, and lanes that add or subtract a value instead of
weights of several bits, so that sums are narrower. What it costs: there is no zero, so every synapse exists and counts
as a SOP; methods that set weights to 0 cannot be used, and more neurons may be needed for the same accuracy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mintaka.compress.errors import CompressError
from mintaka.compress.method import Method
from mintaka.compress.widths import weight_widths, with_widths
from mintaka.snn.hooks import Phase, PhaseHooks, Task
from mintaka.snn.network import SNN, takes_snn


@takes_snn
def binarize(snn: SNN, layers: Sequence[str] | None = None) -> SNN:
    """The same network with weights of 1 bit in these layers (None: in all); train on.

    Raises CompressError naming the layer where there is none of that name, it shares its weights, or has zeros.
    """
    names = list(weight_widths(snn)) if layers is None else list(layers)
    new = with_widths(snn, dict.fromkeys(names, 1))
    if weight_widths(new) == weight_widths(snn):
        raise CompressError("all these layers have weights of 1 bit already: there is nothing to change")
    return new


class Binary(Method):
    """`binarize` behind the training with more bits, then `epochs` with weights of 1 bit.

    `weight_bits = 1` in a recipe trains such weights from the float network on; this goes down from wider ones.
    """

    resets_statistics: ClassVar[bool] = True
    method: Literal["binary"]
    at: Literal["qat"] = "qat"
    layers: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None

    def phases(self) -> list[Phase]:
        return [Phase("binary", self.epochs, _Binary(self))]

    def check(self, snn: SNN, task: Task) -> None:  # noqa: ARG002
        binarize(snn, self.layers)

    def predict_structure(self, snn: SNN) -> SNN:
        return binarize(snn, self.layers)


@dataclass(frozen=True)
class _Binary(PhaseHooks):
    method: Binary

    def begin(self, snn: SNN, task: Task) -> SNN:  # noqa: ARG002
        return binarize(snn, self.method.layers)
