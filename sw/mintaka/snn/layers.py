"""The layers: spiking (synapses, norm and neurons), pools, and the head.

Between layers travel spikes as float tensors (T, N, *shape); a direct input is (N, *shape) and its current is computed
once per sample. With `integer` set, all forward values are the integers of the exported network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn

from mintaka.artifact import Integrator, Pool
from mintaka.snn.cell import Cell, scan_cell
from mintaka.snn.exact import dtype_for, per_channel, pool2d
from mintaka.snn.integrator import last_membrane
from mintaka.snn.lif import LIF, Scan
from mintaka.snn.neuron_autograd import neuron_spikes, run_neurons
from mintaka.snn.norm import MOST, Folded, Norm
from mintaka.snn.specs import NeuronSpec
from mintaka.snn.staircase import staircase
from mintaka.snn.surrogate import round_through
from mintaka.snn.synapses import Summing, Synapses

NEVER = 2.0**60  # a threshold above every K of every dtype, exact in each of them
Recorder = list[Scan]
"""Every value of each layer that sums a current, in order; for a head that accumulates `k` is the running sum."""


class Spiking(Summing):
    """Synapses, BatchNorm over their integer sums, neurons.

    The BatchNorm sees what comes from outside the layer. A recurrence adds its integers behind it: its statistics would
    depend on the spikes that they decide about.

    mask : bool (C_out,): False for channels that never fire, as if they were not there; None where all may.
    """

    mask: Tensor | None

    def __init__(
        self,
        edges: Sequence[Synapses],
        neuron: NeuronSpec,
        shifts: Sequence[int | None] = (None,),
        own: int | None = None,
    ) -> None:
        super().__init__(edges, shifts, own)
        self.norm = Norm(self.synapses.weight.shape[0])
        self.neuron = neuron
        self.register_buffer("mask", None)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        self.mask = torch.ones_like(self.norm.gamma, dtype=torch.bool) if f"{prefix}mask" in state_dict else None
        super()._load_from_state_dict(state_dict, prefix, *rest)

    @property
    def lif(self) -> LIF:
        neuron = self.neuron
        return LIF(neuron.leak, 2 ** (neuron.membrane_bits - 1) - 1, neuron.reset, self.integer)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which every J, K, V and U of any weights of these widths is exact."""
        if not self.integer:
            return torch.float32
        leak, current = self.neuron.leak, self.neuron.current
        V = self.most + 2 * MOST + self.lif.membrane_max  # |I| + |B| + |R| + |U|
        if current is not None:
            V += (current.max + 1) * len(current.leak)
        growth = sum(2.0**-term.shift for term in leak)
        return dtype_for(ceil(V * max(1.0, growth)) + len(leak))

    def forward(self, xs: Sequence[Tensor], steps: int, record: Recorder | None = None) -> Tensor:
        """xs as for `Summing.current` -> spikes (T, N, C_out, ...)."""
        current, static = self.current(xs, steps, self.norm.sign())
        return self._fire(current, static, self.norm(current), steps, record)

    def watched(self, xs: Sequence[Tensor], steps: int) -> tuple[Tensor, Tensor]:
        """The spikes, and K before firing in units of the threshold, G * K, (T, N, C_out, ...) with gradient.

        Its gradient is that of the step's own current, bias and gain; what the membrane carries over from the steps
        before counts as given. Where a neuron is refractory it is 0.
        """
        record: Recorder = []
        current, static = self.current(xs, steps, self.norm.sign())
        folded = self.norm(current)
        s = self._fire(current, static, folded, steps, record)
        K = record[0].k
        if not static:
            current = current.reshape(steps, -1, *current.shape[1:])
        drive = (current + per_channel(folded.bias, K[0])).to(K.dtype)
        v = (K + (drive - drive.detach())) * per_channel(folded.gain, K[0]).to(K.dtype)
        if self.neuron.refractory:
            fired = torch.cat([torch.zeros_like(s[:1]), s.detach()]).cumsum(0)  # spikes before each step
            since = [max(0, t - self.neuron.refractory) for t in range(steps)]
            v = v * (fired[:steps] == fired[since])
        return s, v

    def _fire(self, current: Tensor, static: bool, folded: Folded, steps: int, record: Recorder | None) -> Tensor:
        """The neurons on their current, as `Summing.current` gives it."""
        dtype = self.dtype
        current = current.to(dtype)
        if not static:
            current = current.reshape(steps, -1, *current.shape[1:])
        reset_by = folded.reset_by.to(dtype) if self.neuron.reset == "subtract" else None
        G, T, B = folded.gain.to(dtype), folded.threshold.to(dtype), folded.bias.to(dtype)
        lif = self.lif
        if self.neuron.membrane_rule == "mint" and self.integer:
            lif = replace(lif, stairs=staircase(folded.gain, lif.slope, lif.membrane_max, dtype))
        if self.mask is not None:
            T = torch.where(self.mask, T, NEVER)
        repeat = steps if static else None
        W, conv = None, None
        if self.own is not None:
            W, conv = self.recurrent_weights(dtype), self.edges[self.own].conv
        cell = Cell(lif, T, B, reset_by, self.neuron.refractory, self.neuron.current)
        if record is not None:
            with torch.no_grad():
                record.append(run_neurons(current, repeat, cell, W, conv, membranes=True).scan)
        return neuron_spikes(current, G, cell, repeat, W, conv)


class Pooling(nn.Module):
    """OR or sum of spikes in windows."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """x (T, N, C, H, W) -> (T, N, C, H_out, W_out)."""
        out = pool2d(x.flatten(0, 1), self.pool)
        return out.reshape(*x.shape[:2], *out.shape[1:])


class Head(Summing):
    """Synapses and a bias, summed over the steps, or by an `integrator` with its leak.

    `unit` turns the sum into the loss's units.
    """

    def __init__(
        self, edges: Sequence[Synapses], shifts: Sequence[int | None] = (None,), integrator: Integrator | None = None
    ) -> None:
        super().__init__(edges, shifts)
        self.bias = nn.Parameter(torch.zeros(self.synapses.weight.shape[0]))
        self.integrator = integrator

    def unit(self) -> Tensor:
        """What one integer of the sum is worth in the loss, for one step."""
        return super().unit() if self.integer else torch.ones(())

    def folded_bias(self) -> Tensor:
        """B (C_out,), float64: integer-valued where `integer` is set."""
        if not self.integer:
            return self.bias.double()
        with torch.no_grad():
            unit = self.unit().double()
        return round_through((self.bias.double() / unit).clamp(-MOST, MOST))

    def forward(self, xs: Sequence[Tensor], steps: int, record: Recorder | None = None) -> Tensor:
        """xs as for `Summing.current` -> the sum over T of I + B, or the integrator's last K, (N, C_out, ...)."""
        at_once = record is None and self.integrator is None and not self.synapses.source.static
        if at_once:  # the sum over T of W * x is W * (the sum over T of x)
            current, static = self.current([x.sum(0, keepdim=True) for x in xs], 1, times=steps)
        else:
            current, static = self.current(xs, steps)
        dtype = self._dtype(steps) if self.integer else torch.float32
        current = current.to(dtype)
        if not static:
            current = current.reshape(1 if at_once else steps, -1, *current.shape[1:])
        if self.integrator is not None:
            lif = LIF(self.integrator.leak, self.integrator.membrane_max, "zero", self.integer)
            cell, repeat = Cell(lif, None, self.folded_bias().to(dtype), None), steps if static else None
            if record is not None:
                with torch.no_grad():
                    record.append(scan_cell(current, repeat, cell).scan)
            return last_membrane(current, cell, repeat)
        bias = per_channel(self.folded_bias().to(dtype), current if static else current[0])
        if record is not None:
            each = (current.expand(steps, *current.shape) if static else current).detach() + bias.detach()
            record.append(Scan(each.cumsum(0), each, None))
        return (current * steps if static else current.sum(0)) + bias * steps

    def _dtype(self, steps: int) -> torch.dtype:
        """The dtype in which every sum of any weights of these widths is exact."""
        if self.integrator is None:
            return dtype_for((self.most + MOST) * steps)
        return dtype_for((self.most + MOST + self.integrator.membrane_max + 1) * max(1, len(self.integrator.leak)))
