"""Compares everything that a design shows with the reference and stops at the first difference."""

from __future__ import annotations

import numpy as np

from mintaka.artifact.compare import SYMBOLS, Counts, Difference, shown, unequal
from mintaka_cosim.bench.job import Job


class MismatchError(AssertionError):
    """The hardware differs from the reference."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(str(difference))
        self.difference = difference


class Scoreboard:
    """Expects the first `samples` of a job, in order.

    Every layer advances on its own (layers work on different steps and samples at once): its taps come group by
    group, step by step, sample by sample. With early exit a sample's taps end where it restarts the design.
    """

    def __init__(self, job: Job, samples: int) -> None:
        self._job, self._samples = job, samples
        self._layers = {layer.name: layer for layer in job.layout.layers}
        self._head = job.info["output"]["node"]
        self._taps = dict.fromkeys((layer.name for layer in job.layout.tapped), 0)
        self._done = dict.fromkeys(self._layers, 0)
        self._logits: list[int] = []
        self._traces = {  # (N, T, neurons), by layer and field
            name: {field: values.reshape(*values.shape[:2], -1) for field, values in shown(trace).items()}
            for name, trace in job.traces.items()
        }
        self._received = self._restarts = 0
        self.counts = Counts()

    @property
    def received(self) -> int:
        """Samples whose logits have come out."""
        return self._received

    @property
    def complete(self) -> bool:
        """True once everything expected has come: all logits, taps and counters of all samples."""
        steps = self._job.layout.time_steps
        if self._job.layout.exits:
            tapped = self._restarts == self._samples
        else:
            tapped = all(taps == self._samples * steps * self._layers[n].words for n, taps in self._taps.items())
        return self._received == self._samples and all(done == self._samples for done in self._done.values()) and tapped

    @property
    def missing(self) -> str:
        """What a hanging design still owes, for the message."""
        done = ", ".join(f"'{name}' finished {count}" for name, count in self._done.items())
        return f"of {self._samples} samples {self._received} came out ({done})"

    def tap(self, name: str, values: dict[str, list[int]]) -> None:
        """One group of one step: `values` by field ("k", "s", "u", "j"), one integer per lane."""
        layer = self._layers[name]
        word, group = divmod(self._taps[name], layer.groups)
        step_count, window = divmod(word, layer.windows)
        sample, step = divmod(step_count, self._job.layout.time_steps)
        if sample >= self._samples and layer.runs_ahead:
            return
        if sample >= self._samples:
            raise MismatchError(self._difference(sample, name, {"samples": self._samples}, {"samples": sample + 1}))
        self._taps[name] += 1
        begin = group * layer.lanes
        end = min(begin + layer.lanes, layer.shape_out[0])
        neurons = slice(begin * layer.windows + window, end * layer.windows + window, layer.windows)
        expected = {field: rows[sample, step, neurons] for field, rows in self._traces[name].items()}
        actual = {field: np.array(row[: end - begin]) for field, row in values.items()}
        lanes = np.flatnonzero(unequal(actual, expected))
        if len(lanes):
            lane = int(lanes[0])
            wanted, found = ({SYMBOLS[f]: int(row[lane]) for f, row in side.items()} for side in (expected, actual))
            neuron = neurons.start + lane * layer.windows
            raise MismatchError(Difference(self._job.first + sample, name, wanted, found, step=step, neuron=neuron))
        if step < self._job.steps[sample]:  # else it is equal, but behind the sample's last step
            self.counts.count(dict.fromkeys(values, end - begin))

    def restarted(self) -> None:
        """The end of a sample of a design with early exit: all layers have done its steps."""
        sample = self._restarts
        if sample >= self._samples:
            return
        for name, taps in self._taps.items():
            words, taken = self._layers[name].words, int(self._job.steps[sample])
            done = (taps - sample * self._job.layout.time_steps * words) // words
            if done < taken:
                raise MismatchError(self._difference(sample, name, {"steps": taken}, {"steps": done}))
            self._taps[name] = (sample + 1) * self._job.layout.time_steps * words
        self._restarts += 1

    def stopped(self, steps: int) -> None:
        """The steps that the sample took whose last logit has just come."""
        sample = self._received - 1
        wanted = int(self._job.steps[sample])
        if steps != wanted:
            raise MismatchError(self._difference(sample, self._head, {"steps": wanted}, {"steps": steps}))

    def counted(self, name: str, sops: int) -> None:
        """A layer finished a sample with that many synaptic operations."""
        sample = self._done[name]
        if sample >= self._samples and self._layers[name].runs_ahead:
            return
        if sample >= self._samples:
            raise MismatchError(self._difference(sample, name, {"samples": self._samples}, {"samples": sample + 1}))
        wanted = int(self._job.sops[name][sample])
        if sops != wanted:
            raise MismatchError(self._difference(sample, name, {"SOPs": wanted}, {"SOPs": sops}))
        self._done[name] += 1

    def logit(self, value: int, klass: int | None) -> None:
        """The next logit; `klass` with the last one of a sample, else None."""
        sample, index = self._received, len(self._logits)
        if sample >= self._samples:
            raise MismatchError(
                self._difference(sample, self._head, {"samples": self._samples}, {"samples": sample + 1})
            )
        wanted = self._job.logits[sample]
        if value != wanted[index]:
            found = self._difference(sample, self._head, {"logit": int(wanted[index])}, {"logit": value}, index)
            raise MismatchError(found)
        last = index + 1 == len(wanted)
        if last != (klass is not None):
            found = self._difference(sample, self._head, {"last": int(last)}, {"last": int(not last)}, index)
            raise MismatchError(found)
        self._logits.append(value)
        if not last:
            return
        best = int(np.argmax(wanted))
        if klass != best:
            raise MismatchError(self._difference(sample, self._head, {"class": best}, {"class": int(klass or 0)}))
        self.counts.logits += len(wanted)
        self.counts.samples += 1
        self._received += 1
        self._logits = []

    def _difference(
        self, sample: int, layer: str, expected: dict[str, int], actual: dict[str, int], neuron: int | None = None
    ) -> Difference:
        return Difference(self._job.first + sample, layer, expected, actual, neuron=neuron)
