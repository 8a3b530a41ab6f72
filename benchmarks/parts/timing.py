"""Training step and inference beside the peers, in one run: workers in two environments take turns."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any

import numpy as np

from benchmarks.parts.networks import Shape, encoded, images, trained
from benchmarks.parts.store import ROOT, Store, Values, say, sources, version
from mintaka.artifact import Network, save
from mintaka.artifact.whole import write_whole
from mintaka.system import children

WORKER = Path(__file__).with_name("worker.py")
PEERS = ROOT / "benchmarks" / "peers.txt"
WARM_UP = 2


class PeersError(RuntimeError):
    """The peers cannot be had, in one sentence."""


@dataclass(frozen=True)
class Settings:
    """data : "mnist" or "made". rounds : turns of every subject; repeats : timed runs in a turn of training steps."""

    data: str = "mnist"
    batch: int = 128
    samples: int = 4000
    inference_batch: int = 512
    hidden: int = 128
    steps: int = 8
    bits: int = 4
    rounds: int = 15
    repeats: int = 5
    threads: int = 1
    training: int = 200


def peers_python(folder: Path) -> tuple[Path, dict[str, str]]:
    """The Python of the peers' environment in `folder` (made where it is missing), and the peers' versions.

    Raises PeersError.
    """
    python, stamp = folder / "bin" / "python", folder / "peers.txt"
    wanted = PEERS.read_text() + "".join(f"{name}=={version(name)}\n" for name in ("torch", "numpy"))
    if not (python.exists() and stamp.is_file() and stamp.read_text() == wanted):
        say(f"Making {folder} with the peers (minutes the first time; the same torch as Mintaka's).")
        venv.create(folder, clear=True, with_pip=True)
        same = [f"{name}=={version(name)}" for name in ("torch", "numpy")]
        for arguments in (same, ["--no-deps", "-r", str(PEERS)]):
            command = [str(python), "-m", "pip", "install", "--quiet", *arguments]
            done = children.run(command)
            if done.returncode:
                said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no message"]
                raise PeersError(
                    f"pip could not install {' '.join(arguments)}: {said[-1].removeprefix('ERROR: '):.200}"
                )
        write_whole(stamp, wanted.encode())
    lines = [line for line in wanted.splitlines() if line and not line.startswith("#")]
    return python, dict(line.split("==") for line in lines)


class Worker:
    """One process of `worker.py`."""

    def __init__(self, python: Path | str, side: str, case: Path, threads: int) -> None:
        env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "sw")]) if side == "mintaka" else ""
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by __exit__)
        self.process = children.start(
            [str(python), str(WORKER), side, str(case)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env=env,
        )
        self.side = side
        self.subjects: list[str] = self._answer()

    def time(self, subject: str, repeats: int) -> list[float]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([subject, repeats]) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> list[Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("["):  # a peer may print something of its own
                return list(json.loads(line))
        self.log.seek(0)
        said = self.log.read().strip().splitlines()[-1:] or ["no message"]
        raise PeersError(f"the worker of {self.side} ended: {said[0]:.200}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        children.end(self.process, gently=False)
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate()
        self.log.close()


def measure(store: Store, part: str, settings: Settings, root: Path | None, peers: Path | None) -> str | None:
    """`part` is "train" or "infer". Without the peers' environment (None) only Mintaka's side is measured.

    Returns why the peers are missing, or None.
    """
    python: Path | None = None
    versions: dict[str, str] = {}
    missing: str | None = "not asked for"
    if peers is not None:
        try:
            python, versions = peers_python(peers)
            missing = None
        except PeersError as error:
            missing = str(error)
    for kind in ("rate", "direct"):
        shape = Shape(kind, settings.hidden, settings.steps, settings.bits)
        key: Values = {
            "settings": asdict(settings),
            "peers": versions,
            "torch": version("torch"),
            "code": sources("sw/mintaka/snn", "sw/mintaka/artifact"),
            "worker": hashlib.sha256(WORKER.read_bytes()).hexdigest(),
        }

        def run(shape: Shape = shape) -> Values:
            with tempfile.TemporaryDirectory(prefix="mintaka-") as temporary:
                case = _case(part, shape, settings, root, Path(temporary))
                seconds = _take_turns(case, python, settings, settings.repeats if part == "train" else 1)
            summary = {name: _summary(values, seconds["Mintaka"]) for name, values in seconds.items()}
            return {"settings": asdict(settings), "peers": versions, "missing": missing, "subjects": summary}

        store.point(part, kind, key, run)
    return missing


def _case(part: str, shape: Shape, settings: Settings, root: Path | None, folder: Path) -> Path:
    """The file that both workers read."""
    count = settings.batch if part == "train" else settings.samples
    given = images(settings.data, root, max(count, 16 * settings.batch))
    stated = {
        "job": part,
        "kind": shape.kind,
        "steps": shape.steps,
        "hidden": shape.hidden,
        "bits": shape.bits,
        "threads": settings.threads,
        "batch": settings.batch if part == "train" else settings.inference_batch,
    }
    arrays = {"x": encoded(shape, given.x[:count]), "y": given.y[:count], "settings": np.array(json.dumps(stated))}
    if part == "infer":
        network = trained(shape, given, settings.batch, settings.training)
        save(network, folder / "network.safetensors")
        arrays |= {"artifact": np.array(str(folder / "network.safetensors")), **_real(network)}
    path = folder / "case.npz"
    np.savez(path, allow_pickle=False, **arrays)
    return path


def _real(network: Network) -> dict[str, np.ndarray]:
    """The weights for the peers, in real numbers: the hidden layer's in units of its threshold, which then is 1."""
    found = {}
    for node, name in zip(network.nodes, ("first", "second"), strict=True):
        edge = node.inputs[0]
        assert edge.weight is not None
        assert node.bias is not None
        unit = np.ones(node.channels) if node.neuron is None else node.neuron.threshold.values + 1.0
        weight = edge.weight.values * 2.0**-edge.input_shift / unit[:, None]
        found[f"{name}_weight"] = weight.astype(np.float32)
        found[f"{name}_bias"] = (node.bias.values / unit).astype(np.float32)
    return found


def _take_turns(case: Path, python: Path | None, settings: Settings, repeats: int) -> dict[str, list[list[float]]]:
    """Seconds of every subject, one list per round; the order of the subjects is another in every round."""
    rng = np.random.default_rng(0)
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Worker(sys.executable, "mintaka", case, settings.threads))]
        if python is not None:
            workers.append(stack.enter_context(Worker(python, "peers", case, settings.threads)))
        subjects = {subject: worker for worker in workers for subject in worker.subjects}
        for name, worker in subjects.items():
            worker.time(name, WARM_UP)
        seconds: dict[str, list[list[float]]] = {name: [] for name in subjects}
        for _ in range(settings.rounds):
            for name in rng.permutation(sorted(subjects)).tolist():
                seconds[name].append(subjects[name].time(name, repeats))
        return seconds


def _summary(seconds: list[list[float]], ours: list[list[float]]) -> Values:
    """Median time, and the time as a multiple of Mintaka's: the median of the rounds' ratios, and their quartiles."""
    ratios = [median(own) / median(mintaka) for own, mintaka in zip(seconds, ours, strict=True)]
    low, high = np.quantile(ratios, [0.25, 0.75])
    return {
        "seconds": median(value for turn in seconds for value in turn),
        "ratio": median(ratios),
        "quartiles": [float(low), float(high)],
    }
