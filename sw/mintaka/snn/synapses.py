"""Synapses: the weights of one edge, and the sum of several edges on one integer grid."""

from __future__ import annotations

from collections.abc import Sequence
from math import log, log2, sqrt
from typing import Any

import torch
from torch import Tensor, nn

from mintaka.artifact import ConvGeometry, Signal
from mintaka.artifact.limits import SHIFT
from mintaka.snn.codebook import Codebook, chosen
from mintaka.snn.errors import LayerError
from mintaka.snn.exact import conv2d, dense, dtype_for, per_channel
from mintaka.snn.packed import integer_dense
from mintaka.snn.quantizer import WeightQuantizer
from mintaka.snn.surrogate import floor_through

UNCHOSEN = -1


def through(x: Tensor, W: Tensor, conv: ConvGeometry | None) -> Tensor:
    """x (M, *source) -> the sum over synapses of W * x, (M, C_out, ...); an identity edge's W is (C_out,)."""
    if W.ndim == 1:
        return x * per_channel(W, x)
    return dense(x, W) if conv is None else conv2d(x, W, conv)


class Synapses(nn.Module):
    """Weights of one edge: x -> the sum over synapses of W * x.

    weight : (N_out, N_in) for dense, (C_out, C_in / groups, kh, kw) for conv2d, (C_out,) for identity, float32;
        `quantizer` makes integers.
    input_shift : right shift of a direct input's exact sum; chosen from the first batch where it is not given.
    scale : constant factor on the weights, so that beside an edge with large inputs learning moves both alike.
    weight_scale : how the step of the weights is learned (`mintaka.snn.quantizer`).
    spread : of the initial weights, uniform in +-spread / sqrt(fan_in); those of identity are positive, so that a
        shortcut begins with passing on what it reads.

    mask : bool of the weight's shape: False where there is no synapse, whose weight is then 0 in every forward; None
        where all exist.
    rule : what a method of `mintaka.compress` makes of the stored weight while its phase lasts; None outside of it.
    """

    input_shift: Tensor
    mask: Tensor | None
    rule: nn.Module | None

    def __init__(
        self,
        shape: tuple[int, ...],
        source: Signal,
        bits: int,
        conv: ConvGeometry | None,
        input_shift: int | None,
        shift_target: float,
        scale: float = 1.0,
        spread: float = 1.0,
        weight_scale: str = "step",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.fan_in = self.weight[0].numel()
        most = spread / sqrt(self.fan_in)
        nn.init.uniform_(self.weight, 0.0 if len(shape) == 1 else -most, most)
        self.quantizer = WeightQuantizer(bits, weight_scale)
        self.source, self.conv, self.shift_target, self.scale = source, conv, shift_target, scale
        chosen = (UNCHOSEN if input_shift is None else input_shift) if source.static else 0
        self.register_buffer("input_shift", torch.tensor(chosen))
        self.register_buffer("mask", None)
        self.rule = None
        self.integer = False

    def real(self) -> Tensor:
        """The weights before quantization, as their mask and rule leave them."""
        W = self.weight if self.rule is None else self.rule(self.weight)
        return W if self.mask is None else W * self.mask

    def start(self) -> None:
        """Set the step from the weights that exist now."""
        W = self.real() * self.scale
        self.quantizer.start(W if self.mask is None else W[self.mask])

    @property
    def most_sum(self) -> int:
        """Largest magnitude that any weights of these widths could sum to, before `input_shift`."""
        return self.fan_in * self.quantizer.most * self.source.magnitude

    @property
    def most(self) -> int:
        """The same behind `input_shift`."""
        return (self.most_sum >> max(0, int(self.input_shift))) + 1

    def weights(self, sign: Tensor | None = None, step: Tensor | None = None, shared: Tensor | None = None) -> Tensor:
        """The weights of this forward: integers once quantized, of `step` or their own learned step.

        `sign` (C_out,) flips those of a channel. `shared` are the weights of a layer with a codebook, as they are.
        """
        if shared is not None:
            return shared
        W = self.real()
        W = W if self.scale == 1 else W * self.scale
        if self.integer:
            integers: Tensor = self.quantizer(self.quantizer.shaped(W), step, sign)
            return integers
        return W if sign is None else W * sign.reshape(-1, *[1] * (W.ndim - 1))

    def on_grid(self, sign: Tensor | None, step: Tensor) -> Tensor:
        """The weights in units of `step` before they are rounded, clipped to the grid's ends, without gradient."""
        with torch.no_grad():
            W = self.quantizer.shaped(self.real() * self.scale) / step
            W = W if sign is None else W * sign.reshape(-1, *[1] * (W.ndim - 1))
            return W.clamp(-self.quantizer.most, self.quantizer.most)

    def forward(
        self,
        x: Tensor,
        sign: Tensor | None = None,
        step: Tensor | None = None,
        times: int = 1,
        shared: Tensor | None = None,
    ) -> Tensor:
        """x (M, *source) -> (M, C_out, ...); x may be the sum of so many `times` a value of the source."""
        W = self.weights(sign, step, shared)
        dtype = dtype_for(self.most_sum * times) if self.integer else W.dtype
        x, W = x.to(dtype), W.to(dtype)
        if self.integer and self.conv is None and W.ndim == 2:
            total = integer_dense(x, W, self.source.max_value * times, self.source.min_value * times)
        else:
            total = through(x, W, self.conv)
        if not (self.integer and self.source.static):
            return total
        if int(self.input_shift) == UNCHOSEN:
            self._choose_shift(total.detach())
        shift = int(self.input_shift)
        return floor_through(total * 2.0**-shift) if shift else total

    def each_step(
        self,
        x: Tensor,
        sign: Tensor | None = None,
        step: Tensor | None = None,
        times: int = 1,
        shared: Tensor | None = None,
    ) -> Tensor:
        """x (T, N, *source) -> (T * N, C_out, ...)."""
        if x.is_contiguous() or self.conv is not None or self.source.size < len(self.weight):
            return self(x.flatten(0, 1), sign, step, times, shared)
        # Samples before steps, as batches come in: the smaller result is put in order, not x.
        total: Tensor = self(x.transpose(0, 1).flatten(0, 1), sign, step, times, shared)
        return total.reshape(-1, len(x), *total.shape[1:]).transpose(0, 1).flatten(0, 1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        self.mask = torch.ones_like(self.weight, dtype=torch.bool) if f"{prefix}mask" in state_dict else None
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _choose_shift(self, total: Tensor) -> None:
        """Bring the spread of the currents near the stored membrane's range, so that neither drowns the other."""
        spread = float(total.double().std())
        shift = round(log2(spread / self.shift_target)) if spread > 0 else 0
        self.input_shift.fill_(min(31, max(0, shift)))


class Summing(nn.Module):
    """What spiking layers and the head share: edges whose currents add up, I = sum of I_e << shift_e.

    The first edge learns its step. The steps of the others are that one times powers of two (`shifts`), so the integer
    sum is the sum in real numbers and one BatchNorm behind it folds as it does for one edge. The powers are chosen
    once, from the weights that quantization starts with, or given.

    edges : in the order of the artifact. own : index of the recurrence, if there is one; its current is not summed
    here, but step by step by the neurons.

    codebook : where the layer shares its weights (`mintaka.compress.sharing`): the integers, and who has which. They
        are those that are exported, so a channel whose gamma changes its sign keeps them.
    """

    shifts: Tensor
    codebook: Codebook | None

    def __init__(self, edges: Sequence[Synapses], shifts: Sequence[int | None], own: int | None = None) -> None:
        super().__init__()
        self.synapses = edges[0]
        self.extra = nn.ModuleList(edges[1:])
        self.own, self.integer = own, False
        self.codebook = None
        self.given = [UNCHOSEN if s is None else s for s in shifts]
        if any(s != UNCHOSEN for s in self.given):
            self.given = [max(0, s) for s in self.given]
        for edge in edges[1:]:
            edge.quantizer.learned.requires_grad_(False)
        if len(edges) > 1 or self.given[0] > 0:
            self.register_buffer("shifts", torch.tensor(self.given))

    @property
    def edges(self) -> list[Synapses]:
        return [self.synapses, *self.extra]

    @property
    def aligned(self) -> bool:
        """Whether edges are shifted against each other at all: else there is one edge, and no shift."""
        return "shifts" in self._buffers

    def shift(self, index: int) -> int:
        """The left shift of an edge; 0 while it is not chosen."""
        return max(0, int(self.shifts[index])) if self.aligned else 0

    @property
    def most(self) -> int:
        """Largest magnitude of the sum of all edges, for any weights of these widths."""
        return sum(edge.most << self.shift(index) for index, edge in enumerate(self.edges))

    def start(self) -> None:
        """Set every step from the weights that quantization starts with; nothing is shared any more."""
        self.codebook = None
        for edge in self.edges:
            edge.start()
        if self.aligned:
            self.shifts.copy_(torch.tensor(self.given))

    def unit(self) -> Tensor:
        """What one integer of the sum is worth in real numbers."""
        main = self.synapses
        return main.quantizer.step(main.weight) * 2.0 ** (int(main.input_shift) - self.shift(0))

    def step(self, index: int) -> Tensor | None:
        """The step of an edge's weights; None stands for the first edge's own."""
        if index == 0 or not self.integer:
            return None
        main = self.synapses
        power = int(main.input_shift) - self.shift(0) + self.shift(index)
        return main.quantizer.step(self.edges[index].weight) * 2.0**power

    def shared(self, integers: Tensor | None, index: int) -> Tensor | None:
        """The weights of an edge as the codebook's `integers` give them; None where nothing is shared."""
        if self.codebook is None or integers is None:
            return None
        if self.edges[index].rule is not None:
            raise LayerError("weights that are shared cannot be changed one by one: share them behind other methods")
        return chosen(integers, self.codebook.place(index))

    def code(self) -> Tensor | None:
        """The integers of the codebook, (k,), differentiable; None where nothing is shared, or in full precision."""
        if self.codebook is None or not self.integer:
            return None
        quantizer = self.synapses.quantizer
        return self.codebook.integers(quantizer, quantizer.step(self.synapses.weight))

    def current(
        self, xs: Sequence[Tensor], steps: int, sign: Tensor | None = None, times: int = 1
    ) -> tuple[Tensor, bool]:
        """I of all edges but the recurrence, and whether it is the same at every step.

        xs : per edge (the recurrence's is ignored) (T, N, *source), or (N, *source) of a direct input.
        times : how many steps are summed in each of the `steps` of xs.
        Returns (T * N, C_out, ...), or (N, C_out, ...) where the only edge is from a direct input.
        """
        static, code = self.synapses.source.static, self.code()
        main, first = self.synapses, self.shared(code, 0)
        total = main(xs[0], sign, shared=first) if static else main.each_step(xs[0], sign, None, times, first)
        if not self.aligned:
            return total, static
        if self.integer:
            self._choose_shifts()
            total = total.to(dtype_for(self.most * times)) * 2 ** self.shift(0)
        for index, edge in enumerate(self.edges):
            if index == 0 or index == self.own:
                continue
            part = edge.each_step(xs[index], sign, self.step(index), times, self.shared(code, index))
            if static:
                total, static = total.expand(steps, *total.shape).flatten(0, 1), False
            total = total + (part.to(total.dtype) * 2 ** self.shift(index) if self.integer else part)
        return total, static

    def recurrent_weights(self, dtype: torch.dtype) -> Tensor:
        """W << shift of the recurrence, as `dtype`."""
        assert self.own is not None
        W = self.edges[self.own].weights(None, self.step(self.own), self.shared(self.code(), self.own)).to(dtype)
        return W * 2 ** self.shift(self.own) if self.integer else W

    def integers(self, index: int, sign: Tensor | None) -> Tensor:
        """The weights of an edge as they are exported, integer-valued. The recurrence's are never flipped."""
        with torch.no_grad():
            shared = self.shared(self.code(), index)
            return self.edges[index].weights(None if index == self.own else sign, self.step(index), shared)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        key = f"{prefix}codebook."
        if f"{key}centroids" not in state_dict:
            self.codebook = None
        elif self.codebook is None:
            places = [state_dict[f"{key}place{index}"] for index in range(len(self.edges))]
            self.codebook = Codebook(state_dict[f"{key}centroids"], state_dict[f"{key}trained"], places)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _choose_shifts(self) -> None:
        """The nearest powers of two between the steps that each edge would start with alone; the least becomes 0."""
        if int(self.shifts[0]) != UNCHOSEN:
            return
        logs = [edge.quantizer.log_of_step() / log(2) for edge in self.edges]
        first = logs[0] + int(self.synapses.input_shift)
        powers = [0, *(round(own - first) for own in logs[1:])]
        chosen = [min(SHIFT.most, power - min(powers)) for power in powers]
        self.shifts.copy_(torch.tensor(chosen))
