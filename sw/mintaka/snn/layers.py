"""The layers: synapses (dense or conv2d), neurons (norm and LIF), pools, and the head.

Between layers travel spikes as float tensors (T, N, *shape); a direct input is (N, *shape) and its current is computed
once per sample. With `integer` set, all forward values are the integers of the exported network.
"""

from __future__ import annotations

from math import ceil, log2, sqrt

import torch
from torch import Tensor, nn

from mintaka.artifact import ConvGeometry, LeakTerm, Pool, Signal
from mintaka.snn.exact import conv2d, dense, dtype_for, per_channel, pool2d
from mintaka.snn.lif import LIF, Scan, scan
from mintaka.snn.norm import MOST, Norm
from mintaka.snn.quantizer import WeightQuantizer
from mintaka.snn.spiking import lif_spikes
from mintaka.snn.surrogate import floor_through, round_through

UNCHOSEN = -1

Recorder = list[Scan]
"""Every value of each layer that sums a current, in order; for the head `k` is the running sum."""


class Synapses(nn.Module):
    """Weights of one edge: x -> the sum over synapses of W * x.

    weight : (N_out, N_in) for dense, (C_out, C_in / groups, kh, kw) for conv2d, float32; `quantizer` makes integers.
    input_shift : right shift of a direct input's exact sum; chosen from the first batch where it is not given.
    """

    input_shift: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        source: Signal,
        bits: int,
        conv: ConvGeometry | None,
        input_shift: int | None,
        shift_target: float,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.fan_in = self.weight[0].numel()
        nn.init.uniform_(self.weight, -1 / sqrt(self.fan_in), 1 / sqrt(self.fan_in))
        self.quantizer = WeightQuantizer(bits)
        self.source, self.conv, self.shift_target = source, conv, shift_target
        chosen = (UNCHOSEN if input_shift is None else input_shift) if source.static else 0
        self.register_buffer("input_shift", torch.tensor(chosen))
        self.integer = False

    @property
    def most_sum(self) -> int:
        """Largest magnitude that any weights of these widths could sum to, before `input_shift`."""
        return self.fan_in * self.quantizer.most * self.source.max_value

    @property
    def most(self) -> int:
        """The same behind `input_shift`."""
        return (self.most_sum >> max(0, int(self.input_shift))) + 1

    def forward(self, x: Tensor, sign: Tensor | None = None) -> Tensor:
        """x (M, *source) -> (M, C_out, ...). `sign` (C_out,) flips the weights of a channel."""
        W = self.quantizer(self.weight) if self.integer else self.weight
        if sign is not None:
            W = W * sign.reshape(-1, *[1] * (W.ndim - 1))
        dtype = dtype_for(self.most_sum) if self.integer else W.dtype
        x, W = x.to(dtype), W.to(dtype)
        total = dense(x, W) if self.conv is None else conv2d(x, W, self.conv)
        if not (self.integer and self.source.static):
            return total
        if int(self.input_shift) == UNCHOSEN:
            self._choose_shift(total.detach())
        shift = int(self.input_shift)
        return floor_through(total * 2.0**-shift) if shift else total

    def _choose_shift(self, total: Tensor) -> None:
        """Bring the spread of the currents near the stored membrane's range, so that neither drowns the other."""
        spread = float(total.double().std())
        shift = round(log2(spread / self.shift_target)) if spread > 0 else 0
        self.input_shift.fill_(min(31, max(0, shift)))

    def integers(self, sign: Tensor | None = None) -> Tensor:
        """The weights as they are exported, integer-valued."""
        with torch.no_grad():
            W: Tensor = self.quantizer(self.weight)
            return W if sign is None else W * sign.reshape(-1, *[1] * (W.ndim - 1))


class Spiking(nn.Module):
    """Synapses, BatchNorm over their integer sums, LIF."""

    def __init__(self, synapses: Synapses, leak: tuple[LeakTerm, ...], membrane_bits: int, reset: str) -> None:
        super().__init__()
        self.synapses = synapses
        self.norm = Norm(synapses.weight.shape[0])
        self.leak, self.membrane_bits, self.reset = leak, membrane_bits, reset
        self.integer = False

    @property
    def lif(self) -> LIF:
        return LIF(self.leak, 2 ** (self.membrane_bits - 1) - 1, self.reset, self.integer)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which every K, V and U of any weights of these widths is exact."""
        if not self.integer:
            return torch.float32
        V = self.synapses.most + 2 * MOST + self.lif.membrane_max  # |I| + |B| + |R| + |U|
        growth = sum(2.0**-term.shift for term in self.leak)
        return dtype_for(ceil(V * max(1.0, growth)) + len(self.leak))

    def forward(self, x: Tensor, steps: int, record: Recorder | None = None) -> Tensor:
        """x (T, N, *source), or (N, *source) where the source is static -> spikes (T, N, C_out, ...)."""
        static = self.synapses.source.static
        current = self.synapses(x if static else x.flatten(0, 1), self.norm.sign())
        folded = self.norm(current)
        dtype = self.dtype
        current = current.to(dtype)
        if not static:
            current = current.reshape(*x.shape[:2], *current.shape[1:])
        reset_by = folded.reset_by.to(dtype) if self.reset == "subtract" else None
        T, B = folded.threshold.to(dtype), folded.bias.to(dtype)
        repeat = steps if static else None
        if record is not None:
            record.append(scan(current.detach(), repeat, self.lif, T.detach(), B.detach(), reset_by, membranes=True))
        return lif_spikes(current, folded.gain.to(dtype), T, B, reset_by, self.lif, repeat)


class Pooling(nn.Module):
    """OR or sum of spikes in windows."""

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """x (T, N, C, H, W) -> (T, N, C, H_out, W_out)."""
        out = pool2d(x.flatten(0, 1), self.pool)
        return out.reshape(*x.shape[:2], *out.shape[1:])


class Head(nn.Module):
    """Synapses and a bias, summed over the steps; the weights' step turns the sum into the loss's units."""

    def __init__(self, synapses: Synapses) -> None:
        super().__init__()
        self.synapses = synapses
        self.bias = nn.Parameter(torch.zeros(synapses.weight.shape[0]))
        self.integer = False

    def unit(self) -> Tensor:
        """What one integer of the sum is worth in the loss, for one step."""
        if not self.integer:
            return torch.ones(())
        return self.synapses.quantizer.step(self.synapses.weight) * 2.0 ** int(self.synapses.input_shift)

    def folded_bias(self) -> Tensor:
        """B (C_out,), float64: integer-valued where `integer` is set."""
        if not self.integer:
            return self.bias.double()
        return round_through((self.bias.double() / self.unit().detach().double()).clamp(-MOST, MOST))

    def forward(self, x: Tensor, steps: int, record: Recorder | None = None) -> Tensor:
        """x as for `Spiking` -> the sum over T of I + B, (N, C_out, ...)."""
        static = self.synapses.source.static
        current = self.synapses(x if static else x.flatten(0, 1))
        dtype = dtype_for((self.synapses.most + MOST) * steps) if self.integer else torch.float32
        current = current.to(dtype)
        if not static:
            current = current.reshape(*x.shape[:2], *current.shape[1:])
        bias = per_channel(self.folded_bias().to(dtype), current if static else current[0])
        if record is not None:
            each = (current.expand(steps, *current.shape) if static else current).detach() + bias.detach()
            record.append(Scan(each.cumsum(0), each, None))
        return (current * steps if static else current.sum(0)) + bias * steps
