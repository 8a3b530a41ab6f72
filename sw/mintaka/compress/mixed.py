"""Mixed precision: widths of weights and membranes per layer, and the number of steps, searched for a budget.

The bit-width and time-step part of Lite-SNN (Liu et al. 2024), whose loss of a candidate is

    cross-entropy + lambda_m * memory bits + lambda_s * bit-SOPs

Here the budgets are stated instead of the lambdas. All candidates share one network's weights (a supernet): it is
trained with other widths at every batch, drawn at random, each time quantized anew from the same real weights. So
every candidate has been trained a little, and comparing two costs one forward pass each, not two trainings. The search
begins with the largest of all widths and takes, again and again, the one step down (of one width of one layer, or of
the steps) that costs least cross-entropy per saving,

    argmin  (CE(after) - CE(before)) / (excess(before) - excess(after)),    excess = sum of max(0, cost / budget - 1)

which walks along the penalised optima for growing lambdas, until the budgets are kept; then it takes back what still
fits, as long as the cross-entropy falls. A few hundred candidates are compared, so no search library is needed.

What it saves in hardware: each layer has a weight memory, accumulators and a membrane memory of its own widths. A
budget of memory bits is kept exactly. One of bit-SOPs is kept by the network as it is found; the training behind the
search moves its spikes, and with them its SOPs, by some percent: leave some room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import AfterValidator, Field
from torch.nn import functional as F

from mintaka.artifact import limits
from mintaka.compress.cost import bit_sops, memory_bits
from mintaka.compress.errors import CompressError
from mintaka.compress.method import Epochs, Method
from mintaka.compress.predicted import sizes_known
from mintaka.compress.scores import EMPTY
from mintaka.compress.steps import check_alive, check_steps
from mintaka.compress.widths import check_free, membrane_widths, restart, set_widths, weight_widths, with_widths
from mintaka.snn.export import to_artifact
from mintaka.snn.fast import run_fast
from mintaka.snn.hooks import Batches, Phase, PhaseHooks, Task
from mintaka.snn.network import SNN, takes_snn

SCALES = tuple(2.0 ** (power / 2) for power in range(-8, 9))


@dataclass(frozen=True)
class Widths:
    """One candidate: bits by layer (as sorted pairs, so that it can be looked up), and steps."""

    weights: tuple[tuple[str, int], ...]
    membranes: tuple[tuple[str, int], ...]
    time_steps: int

    @property
    def weight_bits(self) -> dict[str, int]:
        return dict(self.weights)

    @property
    def membrane_bits(self) -> dict[str, int]:
        return dict(self.membranes)


@dataclass(frozen=True)
class Space:
    """What may be chosen, each ascending. Every layer chooses from the same bits."""

    weight_bits: tuple[int, ...]
    membrane_bits: tuple[int, ...]
    time_steps: tuple[int, ...]

    def all(self, snn: SNN, place: int) -> Widths:
        """The same place of the lists everywhere: 0 the smallest, -1 the largest candidate."""
        weights = tuple((name, self.weight_bits[place]) for name in weight_widths(snn))
        membranes = tuple((name, self.membrane_bits[place]) for name in membrane_widths(snn))
        return Widths(weights, membranes, self.time_steps[place])

    def drawn(self, snn: SNN, rng: np.random.Generator) -> Widths:
        """Everything at random, uniformly and independently."""
        weights = tuple((name, int(rng.choice(self.weight_bits))) for name in weight_widths(snn))
        membranes = tuple((name, int(rng.choice(self.membrane_bits))) for name in membrane_widths(snn))
        return Widths(weights, membranes, int(rng.choice(self.time_steps)))

    def beside(self, now: Widths, up: bool) -> list[Widths]:
        """All candidates that differ by one choice, which is the next larger (`up`) or smaller one."""

        def moved(value: int, values: Sequence[int]) -> int | None:
            pairs = dict(pairwise(values if up else values[::-1]))
            return pairs.get(value)

        found = []
        for index, (name, bits) in enumerate(now.weights):
            other = moved(bits, self.weight_bits)
            if other is not None:
                found.append(replace(now, weights=(*now.weights[:index], (name, other), *now.weights[index + 1 :])))
        for index, (name, bits) in enumerate(now.membranes):
            other = moved(bits, self.membrane_bits)
            if other is not None:
                pairs = (*now.membranes[:index], (name, other), *now.membranes[index + 1 :])
                found.append(replace(now, membranes=pairs))
        steps = moved(now.time_steps, self.time_steps)
        return found if steps is None else [*found, replace(now, time_steps=steps)]


@dataclass(frozen=True)
class Budget:
    """What a candidate may cost at most; None: anything."""

    memory_bits: int | None = None
    bit_sops: float | None = None

    def excess(self, judged: Judged) -> float:
        """0 where all budgets are kept."""
        pairs = ((judged.memory_bits, self.memory_bits), (judged.bit_sops, self.bit_sops))
        return sum(max(0.0, cost / most - 1) for cost, most in pairs if most is not None)


@dataclass(frozen=True)
class Judged:
    """A candidate with its cross-entropy and its costs."""

    widths: Widths
    loss: float
    memory_bits: int
    bit_sops: float


def configure(snn: SNN, widths: Widths) -> None:
    """Make the (quantized) network this candidate, in place: everything but the real weights begins anew."""
    set_widths(snn, widths.weight_bits, widths.membrane_bits, widths.time_steps)
    restart(snn, widths.weight_bits)


def candidate(snn: SNN, widths: Widths) -> SNN:
    """A copy of the network as this candidate; it takes its statistics from the next batches."""
    new = deepcopy(snn)
    configure(new, widths)
    new.freeze_norms(False)
    return new.train()


def judge(snn: SNN, widths: Widths, batches: Batches, samples: int) -> Judged:
    """Statistics, cross-entropy and costs of a candidate on the first `samples` of the data, exactly as it would be
    exported.

    The scale of the scores is learned later and depends on the head's width now, so each candidate has the best of
    `SCALES`: otherwise the search would look for sharp scores, not for right ones.
    """
    new, left, chosen = candidate(snn, widths), samples, []
    for x, y in batches(new):
        chosen.append((x[:left], y[:left]))
        left -= len(chosen[-1][0])
        if left <= 0:
            break
    if not chosen:
        raise CompressError(f"there are no samples to compare widths with: {EMPTY}")
    with torch.no_grad():
        for x, _ in chosen:
            new(x)
    network = to_artifact(new.eval(), "candidate")
    inputs, classes = (torch.cat(parts) for parts in zip(*chosen, strict=True))
    result = run_fast(network, inputs.numpy().astype(network.input.dtype))
    scores = new.scores(torch.from_numpy(result.logits)).detach()
    loss = min(float(F.cross_entropy(scores * scale, classes)) for scale in SCALES)
    memory = memory_bits(snn, widths.weight_bits, widths.membrane_bits, widths.time_steps)
    return Judged(widths, loss, memory, bit_sops(result, widths.weight_bits))


@takes_snn
def search_widths(snn: SNN, space: Space, budget: Budget, batches: Batches, samples: int = 1000) -> Judged:
    """The widths for a quantized network within the budget.

    Raises CompressError with the smallest costs that were reached where the budget cannot be kept.
    """
    known: dict[Widths, Judged] = {}

    def look(widths: Widths) -> Judged:
        if widths not in known:
            known[widths] = judge(snn, widths, batches, samples)
        return known[widths]

    now = look(space.all(snn, -1))
    while budget.excess(now) > 0:
        below = [look(widths) for widths in space.beside(now.widths, up=False)]
        cheaper = [other for other in below if budget.excess(other) < budget.excess(now)]
        if not cheaper:
            raise CompressError(_too_small(now, budget))
        now = min(cheaper, key=_price(now, budget))
    while True:
        above = [look(widths) for widths in space.beside(now.widths, up=True)]
        better = [other for other in above if budget.excess(other) == 0 and other.loss < now.loss]
        if not better:
            return now
        now = min(better, key=lambda other: other.loss)


def _price(now: Judged, budget: Budget) -> Callable[[Judged], float]:
    """Cross-entropy per saving of a step from `now`."""
    return lambda other: (other.loss - now.loss) / (budget.excess(now) - budget.excess(other))


def _too_small(reached: Judged, budget: Budget) -> str:
    parts = []
    if budget.memory_bits is not None and reached.memory_bits > budget.memory_bits:
        parts.append(f"{budget.memory_bits:,} memory bits, and {reached.memory_bits:,} are the fewest")
    if budget.bit_sops is not None and reached.bit_sops > budget.bit_sops:
        parts.append(f"{budget.bit_sops:,.0f} bit-SOPs per sample, and {reached.bit_sops:,.0f} are the fewest found")
    return f"no widths keep the budget of {'; nor of '.join(parts)}: raise it, or offer smaller widths"


WeightBits = Annotated[list[Annotated[int, AfterValidator(limits.WEIGHT_BITS.check)]], Field(min_length=1)]
MembraneBits = Annotated[list[Annotated[int, AfterValidator(limits.MEMBRANE_BITS.check)]], Field(min_length=1)]
StepCounts = Annotated[list[Annotated[int, AfterValidator(limits.TIME_STEPS.check)]], Field(min_length=1)]


class Mixed(Method):
    """Train the supernet for `search_epochs` (behind quantization-aware training, from its weights), search, and train
    the network of the found widths for `epochs`.

    memory_bits, bit_sops : the budgets (`mintaka.compress.cost`); one at least.
    weight_bits, membrane_bits, time_steps : what may be chosen; the steps are the recipe's unless given.
    samples : of the training data, by which candidates are compared.
    """

    method: Literal["mixed"]
    at: Literal["qat"] = "qat"
    epochs: Annotated[Epochs, Field(ge=1)]
    search_epochs: Annotated[Epochs, Field(ge=1)]
    memory_bits: Annotated[int, Field(ge=1)] | None = None
    bit_sops: Annotated[float, Field(gt=0)] | None = None
    weight_bits: WeightBits = [1, 2, 3, 4, 6, 8]  # noqa: RUF012
    membrane_bits: MembraneBits = [2, 3, 4, 6, 8]  # noqa: RUF012
    time_steps: StepCounts | None = None
    samples: Annotated[int, Field(ge=1)] = 1000

    @property
    def budget(self) -> Budget:
        return Budget(self.memory_bits, self.bit_sops)

    def space(self, snn: SNN) -> Space:
        steps = [snn.time_steps] if self.time_steps is None else self.time_steps
        return Space(*(tuple(sorted(set(values))) for values in (self.weight_bits, self.membrane_bits, steps)))

    def phases(self) -> list[Phase]:
        return [Phase("mixed", self.search_epochs, _Search(self)), Phase("mixed-tune", self.epochs, _Tune())]

    def check(self, snn: SNN, task: Task) -> None:
        if self.memory_bits is None and self.bit_sops is None:
            raise CompressError("it needs a budget: say 'memory_bits', 'bit_sops' or both")
        space = self.space(snn)
        if self.time_steps is not None:
            if task.temporal:
                raise CompressError("the data have time steps of their own, so 'time_steps' cannot be chosen")
            check_steps(snn, space.time_steps[0])
        check_free(snn, dict.fromkeys(weight_widths(snn), space.weight_bits[0]))
        if sizes_known(snn):
            self.check_memory(snn)

    def check_memory(self, snn: SNN) -> None:
        """Raise CompressError where the fewest bits are more than the budget."""
        least = self.space(snn).all(snn, 0)
        fewest = memory_bits(snn, least.weight_bits, least.membrane_bits, least.time_steps)
        smallest = Judged(least, 0.0, fewest, 0.0)
        if self.budget.excess(smallest) > 0:
            raise CompressError(_too_small(smallest, self.budget))

    def predict_structure(self, snn: SNN) -> SNN:
        """The largest that may be found: what does not fit to that fits to nothing."""
        largest = self.space(snn).all(snn, -1)
        return with_widths(snn, largest.weight_bits, largest.membrane_bits, largest.time_steps)


@dataclass(frozen=True)
class _Search(PhaseHooks):
    method: Mixed

    def begin(self, snn: SNN, task: Task) -> SNN:
        """What SOPs cost at least can be seen only now, as can the memory behind methods that find sizes in training;
        say so before the search is trained for. Weights of one bit are never 0, so the fewest bits need not have the
        fewest bit-SOPs: each width is tried."""
        self.method.check_memory(snn)
        if self.method.bit_sops is not None:
            space, budget = self.method.space(snn), self.method.budget
            tried = [
                judge(snn, replace(space, weight_bits=(bits,)).all(snn, 0), task.batches, self.method.samples)
                for bits in space.weight_bits
            ]
            smallest = min(tried, key=budget.excess)
            if budget.excess(smallest) > 0:
                raise CompressError(_too_small(smallest, budget))
        snn.register_buffer("search_seed", torch.tensor(task.seed))
        return snn

    def attach(self, snn: SNN) -> None:
        if not hasattr(snn, "search_seed"):  # a resumed run loads it
            snn.register_buffer("search_seed", torch.tensor(0))

    def before_step(self, snn: SNN, progress: float, rate: float) -> None:  # noqa: ARG002
        """Draw by seed and progress alone, so that a resumed run goes on alike."""
        rng = np.random.default_rng([int(snn.search_seed), round(progress * 2**32)])  # type: ignore[arg-type]
        configure(snn, self.method.space(snn).drawn(snn, rng))
        snn.freeze_norms(False)

    def finish(self, snn: SNN, task: Task) -> SNN:
        found = search_widths(snn, self.method.space(snn), self.method.budget, task.batches, self.method.samples)
        new = candidate(snn, found.widths)
        del new.search_seed
        return new


@dataclass(frozen=True)
class _Tune(PhaseHooks):
    def finish(self, snn: SNN, task: Task) -> SNN:
        check_alive(snn, task.batches(snn))
        return snn
