"""What all commands share: output for people and machines, progress, arguments, users' errors."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mintaka.errors import counted
from mintaka_cosim.program import RequestError, console, say, warn

if TYPE_CHECKING:
    import numpy as np

    from mintaka.artifact import Network
    from mintaka.data.labels import Labels
    from mintaka_hw.plan import Lanes, Sparse

LINE_SECONDS = 10
BAUD = 115200  # of boards, unless they are built for another

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines, and nothing else, on stdout.")]
ArtifactArgument = Annotated[Path, typer.Argument(help="The artifact, a .safetensors file.", metavar="ARTIFACT")]
LanesOption = Annotated[
    str,
    typer.Option(
        help="Lanes: a number for every layer, which takes no more than it has neurons or channels; 'auto'; or "
        "LAYER=NUMBER,...",
        metavar="N|auto|LAYER=N,...",
    ),
]
SparseOption = Annotated[
    str,
    typer.Option(
        help="Layers whose weight memory leaves out rows of zeros: 'auto' (where it gets smaller), 'none', or names.",
        metavar="auto|none|LAYER,...",
    ),
]


LevelsOption = Annotated[
    int | None,
    typer.Option(
        "--input-levels",
        help="For spikes of an artifact that does not say how numbers become spikes: they are 0 to N-1.",
        metavar="N",
    ),
]


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds a function as a command whose paths may begin with `~`: a shell replaces it in `--run ~/x`, but not in
    `--run=~/x`."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def at_home(**values: Any) -> None:
            function(**{key: _expanded(value) for key, value in values.items()})

        app.command(name)(at_home)
        return function

    return add


def _expanded(value: Any) -> Any:
    try:
        return value.expanduser() if isinstance(value, Path) else value
    except RuntimeError:
        raise RequestError(f"{value}: there is no such home folder") from None


def emit_json(value: Any) -> None:
    """For machines, on stdout."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


@contextlib.contextmanager
def progress_bar(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, as a function of (done, total). Without a terminal it says in a line that it begins, and every
    `LINE_SECONDS` how far it is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    error = console(stderr=True)
    if quiet or not error.is_terminal:
        if not quiet:
            say(f"{what} ...")
        yield _no_progress if quiet else _lines(what)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=error) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _no_progress(done: int, total: int) -> None:
    """For machines."""


def _lines(what: str) -> Callable[[int, int], None]:
    """For logs and pipes."""
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_SECONDS:
            last = time.monotonic()
            say(f"{what}: {done:,} of {total:,}")

    return show


def parse_lanes(text: str, network: Network) -> Lanes:
    """`8`, `auto` or `hidden=16,head=2`. Warns where a number for all layers is more than any of them can use."""
    if text == "auto":
        return "auto"
    if "=" not in text:
        from mintaka_hw.plan.network import LANES

        every = _lane_number(text, text)
        most = max((node.channels for node in network.nodes if node.has_synapses), default=every)
        if most < every <= LANES.most:
            warn(f"--lanes {text}: a layer gets no more lanes than it has neurons or channels, here at most {most:,}")
        return every
    lanes: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if not name.strip() or name.strip() in lanes:
            raise RequestError(f"--lanes {text}: '{part}' is not LAYER=NUMBER with each layer once")
        lanes[name.strip()] = _lane_number(number, text)
    return lanes


def _lane_number(number: str, text: str) -> int:
    try:
        return int(number)
    except ValueError:
        raise RequestError(f"--lanes {text}: '{number}' is not a number: expected N, auto or LAYER=N,...") from None


def parse_sparse(text: str) -> Sparse:
    """`none`, `auto` or `hidden,head`."""
    if text in ("auto", "none"):
        return "auto" if text == "auto" else ()
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise RequestError(f"--sparse {text}: expected auto, none or LAYER,... with each layer once")
    return tuple(names)


def encoded_samples(network: Network, x: np.ndarray, levels: int | None, what: str) -> tuple[np.ndarray, int]:
    """Samples as the network's input, and how many of their numbers were clipped on the way; of these it warns.

    what : where they come from. Raises RequestError where they do not fit to the network.
    """
    from mintaka.artifact import ArtifactError, clipped, encode

    try:
        inputs = encode(network, x, levels=levels)
    except ArtifactError as error:
        raise RequestError(f"{what}: {error}") from None
    beyond = clipped(network, x)
    if beyond:
        warn(f"{what}: {beyond:,} of {x.size:,} numbers were clipped: they lie beyond the range of the network's input")
    return inputs, beyond


def class_labels(network: Network) -> Labels:
    """How to read classes for this network: by their names where its provenance has some, or else by their numbers,
    and none that it does not have."""
    about = network.provenance.get("dataset")
    names = about.get("classes") if isinstance(about, dict) else None
    if isinstance(names, list) and 0 < len(names) <= network.classes and all(isinstance(name, str) for name in names):
        return tuple(names)
    return network.classes


def load_inputs(path: Path, network: Network, levels: int | None) -> tuple[np.ndarray, np.ndarray | None, int]:
    """`x` of an .npz file as by `encoded_samples`, its classes `y` where the file has them, and the clipped numbers."""
    from mintaka.data import read_labels, read_npz
    from mintaka.data.npz import check_entries

    arrays = read_npz(path, ("x",), ("y",))
    check_entries(path, arrays)
    x, y = arrays["x"], arrays.get("y")
    if x.ndim and not len(x):
        raise RequestError(f"{path}: x holds no sample, but has the shape {x.shape}")
    if y is not None:
        if y.shape != x.shape[:1]:
            raise RequestError(
                f"{path}: y must be a class for each of {counted(len(x), 'sample')}, got the shape {y.shape}"
            )
        (y,), _ = read_labels(str(path), (y,), class_labels(network))
    inputs, beyond = encoded_samples(network, x, levels, str(path))
    return inputs, y, beyond
