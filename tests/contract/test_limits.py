"""Files that are made to take for ever or to fill the memory: refused in one sentence, within 2 s and 1 GB."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contract import samples
from contract.files import put_together, sealed
from contract.samples import lif, tensor, wired

from mintaka.artifact import (
    ArtifactError,
    ConvGeometry,
    Edge,
    Network,
    Node,
    Pool,
    check,
    connections,
    limits,
    load,
    save,
)
from mintaka.artifact.document import to_document

GIGABYTE = 10**9


def refused(path: Path) -> str:
    """The reason; it comes in time, and what Python and numpy take fits."""
    begin = time.process_time()
    with pytest.raises(ArtifactError) as caught:
        load(path)
    assert time.process_time() - begin < 2
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < GIGABYTE
    finally:
        tracemalloc.stop()
    return str(caught.value).removeprefix(f"{path}: ")


def written(path: Path, network: Network, **more: np.ndarray) -> Path:
    """As somebody else would write it: unchecked, with the hash that it has."""
    document, tensors = to_document(network)
    return put_together(path, sealed(document, tensors), tensors | more)


def head(source: str, size: int, *shape: int) -> Node:
    return Node("head", "dense", (Edge(source, 0, tensor(np.ones((2, size)), 2)),), shape or (size,), (2,))


def conv(size: int, kernel: int, stride: int = 1) -> Network:
    """One convolution of one channel, and a pool that makes it small."""
    out = (size - kernel) // stride + 1
    weight = tensor(np.ones((1, 1, kernel, kernel)), 2)
    edge = Edge("x", 0, weight, conv=ConvGeometry((stride, stride), (0, 0), 1))
    window = min(64, out)
    small = out // window
    pool = Pool("max", (window, window), (window, window))
    return wired(
        Node("a", "conv2d", (edge,), (1, size, size), (1, out, out), None, lif([1])),
        Node("p", "pool2d", (Edge("a", 0),), (1, out, out), (1, small, small), pool=pool),
        head("p", small * small, 1, small, small),
        shape=(1, size, size),
    )


def joins(count: int, edges: int, size: int = 4) -> Network:
    """Each of them reads what is before it."""
    names = ["l"]
    nodes = [Node("l", "dense", (Edge("x", 0, tensor(np.ones((size, 1)), 2)),), (1,), (size,), None, lif([1] * size))]
    for number in range(count):
        read = tuple(Edge(names[-1 - n % len(names)], 0) for n in range(edges))
        nodes.append(Node(f"j{number}", "join", read, (size,), (size,), join="or"))
        names.append(f"j{number}")
    return wired(*nodes, head(names[-1], size), shape=(1,))


def test_the_count_of_connections() -> None:
    assert connections(joins(3, 5, size=2)) == 2 + 3 * 5 * 2 + 2 * 2
    assert connections(conv(8, 3)) == 36 * 9 + 36 + 2
    assert connections(samples.coded()) == 12 + 3 + 6
    grouped = Edge("x", 0, tensor(np.ones((4, 1, 2, 2)), 2), conv=ConvGeometry((1, 1), (0, 0), 4))
    network = wired(
        Node("a", "conv2d", (grouped,), (4, 3, 3), (4, 2, 2), None, lif([1] * 4)),
        head("a", 16, 4, 2, 2),
        shape=(4, 3, 3),
    )
    check(network)
    assert connections(network) == 16 * 4 + 32


BOMBS: dict[str, tuple[Callable[[], Network], str]] = {
    "large shapes": (lambda: conv(4096, 1), "the input's shape is (1, 4096, 4096): the number of elements must be"),
    "large kernels": (lambda: conv(2048, 64), "the number of connections per time step must be 0 to 4,294,967,296"),
    "many inputs": (lambda: joins(300, 64), "the number of inputs of all nodes must be 1 to 4,096, got 19,202"),
    "large joins": (lambda: joins(60, 64, size=2**21), "the number of elements of all nodes must be 1 to 16,777,216"),
    "strides": (lambda: conv(9, 1, 2**62), f"node 'a', input 0: stride {limits.STRIDE.problem(2**62)}"),
    "counts": (
        lambda: replace(
            joins(700, 5), nodes=tuple(replace(n, join=n.join and "add") for n in joins(700, 5).nodes)
        ),
        "node 'j",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_networks_without_end(name: str, tmp_path: Path) -> None:
    """Valid in everything else, with the right hash."""
    make, sentence = BOMBS[name]
    assert refused(written(tmp_path / "n.safetensors", make())).startswith(sentence)


def test_what_is_large_and_allowed_is_read_soon(tmp_path: Path) -> None:
    network = conv(2048, 32)
    assert 0.9 * limits.CONNECTIONS.most < connections(network) <= limits.CONNECTIONS.most
    save(network, tmp_path / "n.safetensors")
    begin = time.process_time()
    assert load(tmp_path / "n.safetensors").nodes[0].shape_out == (1, 2017, 2017)
    assert time.process_time() - begin < 2


def test_large_weights_take_little_memory(tmp_path: Path) -> None:
    """16 MB of them; the largest file takes sixteen times as much."""
    size = 2**20
    weights = tensor(np.ones((16, size)), 2)
    save(
        wired(Node("head", "dense", (Edge("x", 0, weights),), (size,), (16,)), shape=(size,)),
        tmp_path / "n.safetensors",
    )
    data = bytearray((tmp_path / "n.safetensors").read_bytes())
    data[-1] = 2  # no weight of 2 bits
    (tmp_path / "n.safetensors").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError, match="its content hash does not match"):
            load(tmp_path / "n.safetensors")
        assert tracemalloc.get_traced_memory()[1] < GIGABYTE / 16
    finally:
        tracemalloc.stop()


def test_containers_without_end(tmp_path: Path) -> None:
    document, tensors = to_document(samples.early())
    text = sealed(document, tensors)
    path = tmp_path / "n.safetensors"
    put_together(path, text, tensors | {f"t{n}": np.zeros(0, np.int8) for n in range(20_000)})
    assert refused(path) == f"it holds {20_000 + len(tensors)} tensors; an artifact has at most 16384"
    many = b'{"__metadata__":{"mintaka":""},' + b",".join(
        b'"%d":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}' % n for n in range(40_000)
    )
    path.write_bytes(struct.pack("<Q", len(many) + 1) + many + b"}")
    assert refused(path) == "it holds 40000 tensors; an artifact has at most 16384"
    path.write_bytes(struct.pack("<Q", 2**25) + b" " * 2**25)
    assert refused(path) == f"its header has {2**25} bytes; an artifact's has at most {2**23}"
    deep = b"[" * 2**23
    path.write_bytes(struct.pack("<Q", len(deep)) + deep)
    assert refused(path).startswith("its JSON has 8388608 brackets; at most 180224 objects and lists are possible")
    wide = b"[" + b"[]," * (2**23 // 3 - 1) + b"0]"
    path.write_bytes(struct.pack("<Q", len(wide)) + wide)
    assert refused(path).startswith("its JSON has 2796202 brackets")
    deep = b"[" * 2**17
    path.write_bytes(struct.pack("<Q", len(deep)) + deep)
    assert refused(path).startswith("this is not an intact safetensors file (")
    document["provenance"] = {"many": [[]] * 2**18}
    put_together(path, sealed(document, tensors), tensors)
    assert refused(path).startswith("its JSON has 2")


@pytest.mark.parametrize("length", [0, 100, 2**40, 20 * 10**9 - 8, 2**64 - 1])
def test_sparse_files(length: int, tmp_path: Path) -> None:
    """20 GB that no disk holds."""
    size = 20 * 10**9
    path = tmp_path / "n.safetensors"
    head = json.dumps({"w": {"dtype": "I8", "shape": [size - 108], "data_offsets": [0, size - 108]}}).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", length) + head + b" " * (100 - len(head)))
        file.truncate(size)
    assert refused(path) == f"this file has {size} bytes; an artifact has at most {2**28}"


def test_panics_of_the_library_are_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyO3 raises one that is no Exception."""

    class PanicException(BaseException):
        pass

    def panic(*_: object, **__: object) -> None:
        raise PanicException("called `Result::unwrap()` on an `Err` value")

    save(samples.early(), tmp_path / "n.safetensors")
    monkeypatch.setattr("mintaka.artifact.file.safe_open", panic)
    assert refused(tmp_path / "n.safetensors") == (
        "this is not an intact safetensors file (called `Result::unwrap()` on an `Err` value)"
    )


# ---------------------------------------------------------------- the numbers of the pages


def test_the_pages_state_the_limits() -> None:
    docs = Path(__file__).parents[2] / "docs" / "reference"
    artifact, recipes = ((docs / name).read_text() for name in ("artifact.md", "recipes.md"))
    for row in (
        f"| nodes | {limits.NODES.most:,} |",
        f"| edges | {limits.EDGES.most} of a node, {limits.ALL_EDGES.most:,} of all |",
        f"| elements of a shape | 2^{limits.ELEMENTS.most.bit_length() - 1} |",
        f"| elements of all nodes' outputs | 2^{limits.NEURONS.most.bit_length() - 1} |",
        f"| connections in one time step | 2^{limits.CONNECTIONS.most.bit_length() - 1} |",
        f"| stride | {limits.STRIDE.most:,}; of a pool {limits.KERNEL.most} |",
    ):
        assert row in artifact
    for key, limit in (
        ("time_steps", limits.TIME_STEPS),
        ("input_bits", limits.INPUT_BITS),
        ("weight_bits", limits.WEIGHT_BITS),
        ("membrane_bits", limits.MEMBRANE_BITS),
        ("current_bits", limits.MEMBRANE_BITS),
        ("refractory", limits.REFRACTORY),
    ):
        assert f"| `{key}` | {limit.least} to {limit.most} |" in recipes


def test_a_number_outside_is_named_with_its_limits() -> None:
    assert all(n in limits.DELAY for n in (0, 1))
    assert limits.DELAY.problem(2) == "must be 0 or 1, got 2"
    assert limits.STRIDE.problem(10**5) == "must be 1 to 65,535, got 100,000"
    assert limits.WEIGHT_BITS.problem("x" * 99) == "must be an integer, 1 to 8, got '" + "x" * 59
    with pytest.raises(ValueError, match=r"^must be 2 to 16, got 1$"):
        limits.MEMBRANE_BITS.check(1)
