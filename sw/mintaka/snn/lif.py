"""The LIF neuron in torch: one step, and the scan over all steps. The integer rules of `docs/reference/semantics.md`.

The same code serves the fast integer engine, the quantized forward and, with `integer=False`, the float network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mintaka.artifact import LeakTerm
from mintaka.snn.exact import leaked, per_channel, slope
from mintaka.snn.staircase import Staircase


@dataclass(frozen=True)
class LIF:
    """What neurons of one layer share: leak, largest stored membrane (Qu), reset ("zero" or "subtract").

    integer : False in a float network: the leak is not floored and the membrane is not clipped.
    stairs : how the membrane is stored instead of by the leak's shifts and a clip; None for these.
    """

    leak: tuple[LeakTerm, ...]
    membrane_max: int
    reset: str
    integer: bool = True
    stairs: Staircase | None = None

    @property
    def slope(self) -> float:
        """The leak as a factor: sum of sign * 2^-shift."""
        return slope(self.leak)

    def store(self, V: Tensor) -> Tensor:
        """U = clip(leak(V)), or by the stairs, of V (N, C, ...); a new tensor."""
        if not self.integer:
            return V * self.slope
        if self.stairs is not None:
            return self.stairs.store(V)
        return leaked(V, self.leak).clamp_(-self.membrane_max, self.membrane_max)

    def step(self, K: Tensor, threshold: Tensor, reset_by: Tensor | None) -> tuple[Tensor, Tensor]:
        """One step from K (N, C, ...), with per-channel tensors shaped (C, 1, ...): spikes (0 or 1), membrane U."""
        s = torch.gt(K, threshold, out=torch.empty_like(K))
        return s, self.after(K, s, reset_by)

    def after(self, K: Tensor, s: Tensor, reset_by: Tensor | None) -> Tensor:
        """The membrane U that is stored after the spikes `s` of K."""
        return self.store(torch.addcmul(K, s, K if reset_by is None else reset_by, value=-1))


@dataclass(frozen=True)
class Scan:
    """All steps of one layer, each (T, N, C, ...): K before firing, spikes s (0 or 1), stored membranes U, and of
    CUBA-LIF the stored synaptic currents J."""

    k: Tensor
    s: Tensor
    u: Tensor | None
    j: Tensor | None = None


def scan(
    current: Tensor,
    steps: int | None,
    lif: LIF,
    threshold: Tensor,
    bias: Tensor | None,
    reset_by: Tensor | None,
    *,
    membranes: bool = False,
    log: bool = True,
    feedback: Callable[[Tensor], Tensor] | None = None,
) -> Scan:
    """Run the neurons of a layer over all steps.

    current : (T, N, C, ...) of any strides, or (N, C, ...) with `steps` = T where it is the same at every step.
    threshold, bias, reset_by : per channel (C,), of current's dtype.
    membranes : keep U (only the last is needed to go on, and none after the last step).
    log : keep K; False leaves only that of the last step in `Scan.k`, at every step.
    feedback : what the spikes of the step before add to K, where the layer reads itself.
    """
    static = steps is not None
    T = steps if steps is not None else len(current)
    like = current if static else current[0]
    theta = per_channel(threshold, like)
    R = None if reset_by is None else per_channel(reset_by, like)
    if bias is not None:
        current = current + per_channel(bias, like)
    shape = (T, *like.shape)
    K = torch.empty(shape if log else like.shape, dtype=current.dtype).expand(shape)
    s = torch.empty(shape, dtype=current.dtype)
    U_all = torch.empty_like(s) if membranes else None
    U = torch.zeros_like(like)
    before: Tensor | None = None
    for t, (K_t, s_t) in enumerate(zip(K, s, strict=True)):
        torch.add(current if static else current[t], U, out=K_t)
        if feedback is not None and before is not None:
            K_t.add_(feedback(before))
        torch.gt(K_t, theta, out=s_t)  # as numbers: a mask would have to be converted
        before = s_t
        if U_all is not None or t + 1 < T:
            U = lif.after(K_t, s_t, R)
        if U_all is not None:
            U_all[t] = U
    return Scan(K, s, U_all)
