"""A process that times what it is told to: Mintaka's side in Mintaka's environment, the peers' in their own.

    python worker.py {mintaka|peers} case.npz

answers, line by line: for `["name", repeats]` a list of seconds. Only one worker works at a time; `timing.py` takes
turns. This file imports nothing of the project in the peers' environment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

DECAY = 0.5
LEARNING_RATE = 2e-3

Work = Callable[[], object]


class Case:
    """The arrays of a case and its settings: job ("train" or "infer"), kind, steps, batch, hidden, threads."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}
        settings: dict[str, Any] = json.loads(str(self.arrays.pop("settings")))
        self.job, self.kind, self.steps = settings["job"], settings["kind"], int(settings["steps"])
        self.batch, self.hidden, self.bits = (int(settings[name]) for name in ("batch", "hidden", "bits"))
        torch.set_num_threads(int(settings["threads"]))

    @property
    def x(self) -> np.ndarray:
        return self.arrays["x"]

    @property
    def y(self) -> Tensor:
        return torch.from_numpy(self.arrays["y"])

    def by_step(self) -> Tensor:
        """Spikes (T, N, 784) or pixels (N, 784), float32, in memory as a loop over steps likes it."""
        x = torch.from_numpy(self.x).float()
        if self.kind == "direct":
            return x
        return x.transpose(0, 1).contiguous()

    def rows(self) -> Tensor:
        """(T * N, 784): every step a row."""
        x = self.by_step()
        return (x.expand(self.steps, *x.shape) if self.kind == "direct" else x).flatten(0, 1).contiguous()

    def layers(self) -> tuple[nn.Linear, nn.Linear]:
        """Both dense layers; for inference with the artifact's weights in units of the threshold."""
        first, second = nn.Linear(self.x.shape[-1], self.hidden), nn.Linear(self.hidden, 10)
        for layer, name in ((first, "first"), (second, "second")):
            if f"{name}_weight" in self.arrays:
                layer.weight.data = torch.from_numpy(self.arrays[f"{name}_weight"])
                layer.bias.data = torch.from_numpy(self.arrays[f"{name}_bias"])
        return first, second


def updates(net: nn.Module, forward: Callable[[], Tensor], y: Tensor) -> Work:
    """One training step with the optimizer that all sides use."""
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, fused=True)

    def step() -> None:
        loss = F.cross_entropy(forward(), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def in_batches(case: Case, forward: Callable[[Tensor], Tensor]) -> Work:
    """All samples in batches, without gradients."""
    x = case.by_step()

    def run() -> None:
        with torch.no_grad():
            for at in range(0, len(case.x), case.batch):
                forward(x[at : at + case.batch] if case.kind == "direct" else x[:, at : at + case.batch])

    return run


class SnnTorch(nn.Module):
    """snnTorch, as its tutorials write it: a loop over the steps. In full precision.

    once : the direct input's current is computed before the loop, as a hand-tuned program would.
    """

    def __init__(self, case: Case, *, norm: bool, once: bool = False) -> None:
        import snntorch
        from snntorch import surrogate

        super().__init__()
        self.first, self.second = case.layers()
        self.norm = nn.BatchNorm1d(case.hidden) if norm else nn.Identity()
        spike = surrogate.fast_sigmoid()
        self.lif = snntorch.Leaky(beta=DECAY, reset_mechanism="zero", spike_grad=spike)
        self.steps, self.direct, self.once = case.steps, case.kind == "direct", once

    def forward(self, x: Tensor) -> Tensor:
        membrane, total = self.lif.init_leaky(), torch.zeros(())
        current = self.norm(self.first(x)) if self.once else None
        for t in range(self.steps):
            now = self.norm(self.first(x if self.direct else x[t])) if current is None else current
            spikes, membrane = self.lif(now, membrane)
            total = total + self.second(spikes)
        return total / self.steps


class SpikingJelly(nn.Module):
    """SpikingJelly in multi-step mode: one product for all steps. In full precision."""

    def __init__(self, case: Case, *, norm: bool) -> None:
        from spikingjelly.activation_based import functional, layer, neuron

        super().__init__()
        first, second = case.layers()
        self.first, self.second = layer.Linear(first.in_features, case.hidden), layer.Linear(case.hidden, 10)
        self.first.load_state_dict(first.state_dict())
        self.second.load_state_dict(second.state_dict())
        self.norm = layer.BatchNorm1d(case.hidden) if norm else nn.Identity()
        self.lif = neuron.LIFNode(
            tau=1 / (1 - DECAY), decay_input=False, v_threshold=1.0, v_reset=0.0, detach_reset=True, step_mode="m"
        )
        functional.set_step_mode(self, "m")
        self.start_sample = functional.reset_net
        self.steps, self.direct = case.steps, case.kind == "direct"

    def forward(self, x: Tensor) -> Tensor:
        self.start_sample(self)
        if self.direct:
            x = x.expand(self.steps, *x.shape)
        out: Tensor = self.second(self.lif(self.norm(self.first(x)))).mean(0)
        return out


def peers(case: Case) -> dict[str, Work]:
    """What the peers' environment measures."""
    if case.job == "train":
        x, found = case.by_step(), {}
        nets = {
            "snnTorch": SnnTorch(case, norm=True),
            "snnTorch, no BatchNorm": SnnTorch(case, norm=False),
            "SpikingJelly": SpikingJelly(case, norm=True),
        }
        for name, net in nets.items():
            found[name] = updates(net, partial(net, x), case.y)
        return found
    jobs = {
        "snnTorch": in_batches(case, SnnTorch(case, norm=False).eval()),
        "SpikingJelly": in_batches(case, SpikingJelly(case, norm=False).eval()),
    }
    if case.kind == "direct":
        jobs["snnTorch, current once"] = in_batches(case, SnnTorch(case, norm=False, once=True).eval())
    return jobs


def products(case: Case) -> Work:
    """The bare matrix products of a training step (with those of the gradients) or of the inference, nothing else."""
    rows = case.rows()[: case.steps * case.batch]
    hidden, first, second = torch.rand(len(rows), case.hidden), *(layer.weight.detach() for layer in case.layers())
    if case.job == "train":
        at_first, at_second = torch.rand(len(rows), case.hidden), torch.rand(len(rows), 10)
        return lambda: (
            *(F.linear(rows, first), F.linear(hidden, second)),
            *(at_second.T @ hidden, at_second @ second, at_first.T @ rows),
        )
    times = -(-len(case.x) // case.batch)
    return lambda: [(F.linear(rows, first), F.linear(hidden, second)) for _ in range(times)]


def mintaka(case: Case) -> dict[str, Work]:
    """What Mintaka's environment measures: Mintaka, the same shapes as an ordinary ANN, and the bare products."""
    from benchmarks.parts.networks import Shape, adam, training_step, untrained
    from mintaka.artifact import load
    from mintaka.snn import run_fast

    works = {"bare products": products(case)}
    if case.job == "infer":
        network = load(Path(str(case.arrays["artifact"])))
        return {"Mintaka": lambda: run_fast(network, case.x), **works}
    snn = untrained(Shape(case.kind, case.hidden, case.steps, case.bits)).train()
    x, rows, y = torch.from_numpy(case.x).float(), case.rows(), case.y
    optimizer = adam(snn)
    first, second = case.layers()
    ann = nn.Sequential(first, nn.BatchNorm1d(case.hidden), nn.ReLU(), second)
    works["ANN"] = updates(ann, lambda: ann(rows), y.repeat(case.steps))
    return {"Mintaka": lambda: training_step(snn, optimizer, x, y), **works}


def main() -> None:
    side, path = sys.argv[1:]
    case = Case(Path(path))
    works = {"mintaka": mintaka, "peers": peers}[side](case)
    print(json.dumps(sorted(works)), flush=True)
    for line in sys.stdin:
        name, repeats = json.loads(line)
        seconds = []
        for _ in range(repeats):
            begin = time.perf_counter()
            works[name]()
            seconds.append(time.perf_counter() - begin)
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
