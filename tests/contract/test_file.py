"""The artifact as a file: round trips, and one clear sentence for everything that is not an artifact."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import files, samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from strategies import EVERYTHING, networks

from mintaka.artifact import ArtifactError, Edge, Encoding, Network, Quantizer, content_hash, load, run, save

Json = dict[str, Any]


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    save(samples.everything(), path)
    return path


def refused(path: Path) -> str:
    """The reason why `path` does not load: one line that names the file."""
    with pytest.raises(ArtifactError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    assert len(text) <= 1000
    return text.removeprefix(f"{path}: ")


def describe(network: Network) -> str:
    """Everything a network holds, as text."""
    with np.printoptions(threshold=sys.maxsize):
        return repr(network)


# ---------------------------------------------------------------- round trips


def test_round_trip(artifact: Path, tmp_path: Path) -> None:
    network = load(artifact)
    assert describe(network) == describe(samples.everything())
    assert network.vectors is not None
    assert (run(network, network.vectors.inputs).logits == network.vectors.logits).all()
    again = tmp_path / "deeper" / "again.safetensors"
    digest = save(network, again)
    assert again.read_bytes() == artifact.read_bytes()
    assert digest == content_hash(network) == content_hash(samples.everything())
    assert [p.name for p in again.parent.iterdir()] == ["again.safetensors"]


@pytest.mark.parametrize("sample", [samples.newer, samples.coded])
def test_round_trip_of_later_formats(tmp_path: Path, sample: Callable[[], Network]) -> None:
    path, again = tmp_path / "net.safetensors", tmp_path / "again.safetensors"
    save(sample(), path)
    network = load(path)
    assert describe(network) == describe(sample())
    assert network.vectors is not None
    assert (run(network, network.vectors.inputs).logits == network.vectors.logits).all()
    save(network, again)
    assert again.read_bytes() == path.read_bytes()


def test_a_network_of_1_0_keeps_its_bytes(artifact: Path) -> None:
    """Hashes that format 1.0 gave, before there was a 1.1: artifacts that exist stay what they are."""
    assert content_hash(samples.everything()).startswith("sha256:700d28a1a8c07c2ae570caced0692b193cbc1e1c1fc5641c")
    one = samples.one_neuron(samples.lif([4], reset_by=[4]), [[5, -2, 3]], bias=[-1])
    assert content_hash(one).startswith("sha256:f414e07fee403288f9d5c49042e54521361ed2cc2601cc01")
    assert (
        hashlib.sha256(artifact.read_bytes()).hexdigest().startswith("512706d7caf24d27100298a80d754d537a5b22a54acf4ab5")
    )
    assert files.pull_apart(artifact)[0]["format"] == "1.0"


def one_new_thing() -> list[Network]:
    """Networks of 1.0 but for one thing each."""
    network = samples.newer()
    lif, cuba, veto, total, head = network.nodes
    plain = dataclasses.replace(lif, neuron=dataclasses.replace(lif.neuron, refractory=0))  # type: ignore[type-var]
    bare = dataclasses.replace(head, integrator=None, inputs=(dataclasses.replace(head.inputs[0], node="lif"),))
    reads = dataclasses.replace(bare, neuron=plain.neuron)
    quiet = dataclasses.replace(network, output=dataclasses.replace(network.output, read="accumulate"), vectors=None)
    count = dataclasses.replace(network, output=dataclasses.replace(network.output, read="count"), vectors=None)
    alone = dataclasses.replace(cuba, inputs=cuba.inputs[:1])
    own = dataclasses.replace(cuba, neuron=plain.neuron)
    either = dataclasses.replace(total, name="or", join="or", inputs=(veto.inputs[0], total.inputs[1]))
    assert content_hash(dataclasses.replace(quiet, nodes=(plain, bare)))
    return [
        dataclasses.replace(quiet, nodes=(lif, bare)),
        dataclasses.replace(quiet, nodes=(plain, alone, bare)),
        dataclasses.replace(quiet, nodes=(plain, own, bare)),
        dataclasses.replace(quiet, nodes=(plain, either, bare)),
        dataclasses.replace(count, nodes=(plain, reads)),
        dataclasses.replace(network, nodes=(plain, dataclasses.replace(head, inputs=bare.inputs)), vectors=None),
    ]


NEW_THINGS = [
    "node 'lif', 'neuron' has the unknown field 'refractory'",
    "node 'cuba', 'neuron' has the unknown field 'kind'",
    "node 'cuba', input 1 has the unknown field 'op'",
    "node 'or' is a join, which came with format 1.1, but the file says 1.0",
    "the output reads 'count', which came with format 1.1, but the file says 1.0",
    "node 'head', 'neuron' lacks the field 'threshold'",
]


@pytest.mark.parametrize(("index", "reason"), list(enumerate(NEW_THINGS)), ids=[reason[:40] for reason in NEW_THINGS])
def test_each_new_thing_makes_a_file_1_1(tmp_path: Path, index: int, reason: str) -> None:
    """It is written as 1.1, and refused in a file that says 1.0, as a reader of 1.0 refuses it."""
    path = tmp_path / "net.safetensors"
    save(one_new_thing()[index], path)
    document, tensors = files.pull_apart(path)
    assert document["format"] == "1.1"
    document["format"] = "1.0"
    files.put_together(path, files.sealed(document, tensors), tensors)
    assert refused(path) == reason


def test_a_file_of_1_1_may_say_what_1_0_implies(tmp_path: Path, artifact: Path) -> None:
    """The kind lif, no refractory steps, and an edge by its node's op: it loads, and is saved as 1.0 again."""
    document, tensors = files.pull_apart(artifact)
    document["format"] = "1.1"
    document["nodes"][CONV]["neuron"] |= {"kind": "lif", "refractory": 0}
    document["nodes"][CONV]["inputs"][1]["op"] = "conv2d"
    path = tmp_path / "explicit.safetensors"
    files.put_together(path, files.sealed(document, tensors), tensors)
    save(load(path), path)
    assert path.read_bytes() == artifact.read_bytes()


def test_a_codebook_makes_a_file_1_2(tmp_path: Path) -> None:
    """It changes no number, but the hash; a file that says 1.1 is refused, as by a reader of 1.1."""
    path, coded = tmp_path / "net.safetensors", samples.coded()
    save(coded, path)
    document, tensors = files.pull_apart(path)
    assert document["format"] == "1.2"
    assert [node["codebook"] for node in document["nodes"]] == [[-7, 0, 13, 90], [-3, -2, 1, 2, 3]]
    assert coded.vectors is not None
    bare = dataclasses.replace(coded, nodes=tuple(dataclasses.replace(node, codebook=None) for node in coded.nodes))
    assert (run(bare, coded.vectors.inputs).logits == coded.vectors.logits).all()
    wider = dataclasses.replace(coded.nodes[0], codebook=(-8, -7, 0, 13, 90))
    others = [bare, dataclasses.replace(coded, nodes=(wider, coded.nodes[1]))]
    assert len({content_hash(network) for network in (coded, *others)}) == 3
    document["format"] = "1.1"
    files.put_together(path, files.sealed(document, tensors), tensors)
    assert refused(path) == "node 'a' has the unknown field 'codebook'"


def test_margins_make_a_file_1_3(tmp_path: Path) -> None:
    path, early = tmp_path / "net.safetensors", samples.early()
    save(early, path)
    document, tensors = files.pull_apart(path)
    assert document["format"] == "1.3"
    assert document["output"]["margins"] == [2, None, 1]
    assert load(path).output == early.output
    document["format"] = "1.2"
    files.put_together(path, files.sealed(document, tensors), tensors)
    assert refused(path) == "the document, 'output' has the unknown field 'margins'"


def test_boundaries_make_a_file_1_3(tmp_path: Path) -> None:
    """Loaded again they are the same network; a file that says 1.2 is refused, as by a reader of 1.2."""
    path, stepped = tmp_path / "net.safetensors", samples.stepped()
    save(stepped, path)
    document, tensors = files.pull_apart(path)
    assert document["format"] == "1.3"
    assert [node["neuron"]["boundaries"] for node in document["nodes"][:2]] == [
        {"tensor": "a.boundaries", "bits": 8},
        {"tensor": "b.boundaries", "bits": 10},
    ]
    assert (tensors["a.boundaries"].shape, tensors["b.boundaries"].dtype) == ((3, 6), np.int16)
    assert stepped.vectors is not None
    assert (run(load(path), stepped.vectors.inputs).logits == stepped.vectors.logits).all()
    document["format"] = "1.2"
    files.put_together(path, files.sealed(document, tensors), tensors)
    assert refused(path) == "node 'a', 'neuron' has the unknown field 'boundaries'"


@settings(suppress_health_check=[*HealthCheck])
@given(network=networks(features=EVERYTHING))
def test_round_trip_of_generated_networks_of_later_formats(tmp_path: Path, network: Network) -> None:
    path = tmp_path / "net.safetensors"
    digest = save(network, path)
    found = load(path)
    assert describe(found) == describe(network)
    assert content_hash(found) == digest == files.pull_apart(path)[0]["hash"]


@settings(suppress_health_check=[*HealthCheck])
@given(network=networks())
def test_round_trip_of_generated_networks(tmp_path: Path, network: Network) -> None:
    path = tmp_path / "net.safetensors"
    digest = save(network, path)
    found = load(path)
    assert describe(found) == describe(network)
    assert content_hash(found) == digest == files.pull_apart(path)[0]["hash"]


def test_the_hash_is_the_same_in_every_process(artifact: Path) -> None:
    code = f"from mintaka.artifact import content_hash, load; print(content_hash(load({str(artifact)!r})))"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert seen == {content_hash(samples.everything()) + "\n"}


def test_the_hash_sees_every_number() -> None:
    network = samples.everything()
    seen = {content_hash(network)}
    for node in network.nodes:
        for edge in node.inputs:
            if edge.weight is not None:
                edge.weight.values.flat[-1] ^= 1
                seen.add(content_hash(network))
    seen.add(content_hash(dataclasses.replace(network, time_steps=6)))
    seen.add(content_hash(dataclasses.replace(network, provenance={})))
    assert len(seen) == 9


def test_hand_made_files_load(artifact: Path, tmp_path: Path) -> None:
    """The helper of the tests below makes good files when nothing is changed."""
    document, tensors = files.pull_apart(artifact)
    path = files.put_together(tmp_path / "by_hand.safetensors", files.sealed(document, tensors), tensors)
    assert describe(load(path)) == describe(samples.everything())


# ---------------------------------------------------------------- foreign, damaged, wrong version


def test_no_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.safetensors") == "there is no such file"
    assert refused(tmp_path) == "this is a folder, not a file"


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"PK\3\4" * 50, b"{}", b"\xff" * 100, struct.pack("<Q", 2**40) + b"{}", struct.pack("<Q", 2) + b"[]"],
    ids=repr,
)
def test_foreign_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    assert refused(path).startswith("this is not an intact safetensors file (")


def test_foreign_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"w": np.zeros(3, np.float32)}, path)
    assert refused(path) == "this is a safetensors file, but not a Mintaka artifact"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}, "tensor 'w' has dtype BF16; an artifact holds I8,"),
        ({"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}, "tensor 'w' has dtype F8_E4M3; an artifact"),
        ({"dtype": "I8", "shape": [2**40], "data_offsets": [0, 4]}, "this is not an intact safetensors file ("),
        ({"dtype": "I8", "shape": [2**62, 2**62], "data_offsets": [0, 4]}, "this is not an intact safetensors file ("),
        ({"dtype": "I8", "shape": [0, 2**63], "data_offsets": [0, 0]}, "this is not an intact safetensors file ("),
        ({"dtype": "I8", "shape": [-4], "data_offsets": [0, 4]}, "this is not an intact safetensors file ("),
        ({"dtype": "I8", "shape": [4], "data_offsets": [0, 2**50]}, "this is not an intact safetensors file ("),
        ({"dtype": "I8", "shape": [1] * 200, "data_offsets": [0, 1]}, "this is not an intact safetensors file ("),
    ],
    ids=lambda value: str(value)[:40],
)
def test_headers_that_promise_too_much(tmp_path: Path, entry: Json, reason: str) -> None:
    path = tmp_path / "x.safetensors"
    header = json.dumps({"__metadata__": {"mintaka": "{}"}, "w": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * min(4, entry["data_offsets"][1]))
    assert refused(path).startswith(reason)


def test_every_truncation(artifact: Path) -> None:
    data = artifact.read_bytes()
    for length in range(0, len(data), 7):
        artifact.write_bytes(data[:length])
        assert refused(artifact).startswith("this is not an intact safetensors file (")
    artifact.write_bytes(data + b"\0")
    assert refused(artifact).startswith("this is not an intact safetensors file (")


def test_a_flipped_bit_of_a_tensor(artifact: Path) -> None:
    data = bytearray(artifact.read_bytes())
    data[-20] ^= 4
    artifact.write_bytes(data)
    assert re.match(r"its content hash does not match: it says sha256:\w{12}, but holds", refused(artifact))


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("2.0", "it has format 2.0, but this Mintaka reads up to 1.4: update Mintaka"),
        ("0.9", "it has format 0.9, which was never released; this Mintaka reads 1.4"),
        ("1", "its format version is '1', which is none"),
        ("١.0", "its format version is '١.0', which is none"),
        (1.0, "its format version is 1.0, which is none"),
        (None, "its format version is None, which is none"),
    ],
)
def test_versions(artifact: Path, version: object, reason: str) -> None:
    document, tensors = files.pull_apart(artifact)
    document["format"] = version
    files.put_together(artifact, files.sealed(document, tensors), tensors)
    assert refused(artifact) == reason


def test_a_newer_minor_version(artifact: Path) -> None:
    """It loads where it holds nothing new; otherwise the sentence says why the new thing is not known."""
    document, tensors = files.pull_apart(artifact)
    document["format"] = "1.7"
    files.put_together(artifact, files.sealed(document, tensors), tensors)
    assert describe(load(artifact)) == describe(samples.everything())
    document["nodes"][0]["neuron"]["adaptation"] = 2
    files.put_together(artifact, files.sealed(document, tensors), tensors)
    assert refused(artifact) == (
        "node 'conv', 'neuron' has the unknown field 'adaptation' (the file has the newer format 1.7)"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "its document is not valid JSON"),
        ("[]", "its document is not a JSON object"),
        ('{"format":"1.0"', "its document is not valid JSON"),
        ("[" * 100_000, "its document is not valid JSON"),
        ('{"a":' + "[" * 40 + "]" * 40 + "}", "its document is nested deeper than 32 levels"),
        ('{"a":' + "[" * 900 + "]" * 900 + "}", "its document is nested deeper than 32 levels"),
        ('{"a":1,"a":1}', "its document has the field 'a' twice in one object"),
        ('{"a":NaN}', "its document holds the number NaN, which is not finite"),
        ('{"a":-Infinity}', "its document holds the number -Infinity, which is not finite"),
        ('{"a":1e999}', "its document holds the number 1e999, which is not finite"),
        ('{"a":' + "9" * 5000 + "}", "its document holds an integer of 5000 digits; at most 20 are possible"),
        ('{"a":"' + "x" * 2**22 + '"}', "its document has 4194312 characters; at most 4194304 are possible"),
        (
            '{"format":"1.0"}',
            'its content hash is missing: a document begins with {"hash":"sha256:..."',
        ),
        (
            '{"format":"1.0","hash":"sha256:' + "0" * 64 + '"}',
            'its content hash is missing: a document begins with {"hash":"sha256:..."',
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_json(artifact: Path, text: str, reason: str) -> None:
    _, tensors = files.pull_apart(artifact)
    files.put_together(artifact, text, tensors)
    assert refused(artifact) == reason


def test_what_cannot_be_read_is_not_written(tmp_path: Path) -> None:
    network = samples.everything()
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]
    for provenance in ({"x": float("nan")}, {"x": object()}, {"x": deep}, {"x": 10**30}, {"x": "y" * 2**22}):
        with pytest.raises(ArtifactError):
            save(dataclasses.replace(network, provenance=provenance), tmp_path / "x.safetensors")
    with pytest.raises(ArtifactError, match="time_steps must be 1 to 1,024, got 0"):
        save(dataclasses.replace(network, time_steps=0), tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        save(samples.everything(), tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


# ---------------------------------------------------------------- rules behind the hash

FIRST, CONV, OR, SUM, DENSE, HEAD = 0, 0, 1, 2, 3, 4

Change = Callable[[Json, files.Tensors], object]


def set_in(*path: Any, to: Any) -> Change:
    """Put a value at a path of the document."""

    def change(document: Json, _: files.Tensors) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


def drop(*path: Any) -> Change:
    def change(document: Json, _: files.Tensors) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return change


def array(name: str, how: Callable[[np.ndarray], np.ndarray]) -> Change:
    def change(_: Json, tensors: files.Tensors) -> None:
        tensors[name] = np.ascontiguousarray(how(tensors[name]))

    return change


def put_value(name: str, value: int) -> Change:
    def change(_: Json, tensors: files.Tensors) -> None:
        tensors[name].flat[0] = value

    return change


def both(*changes: Change) -> Change:
    return lambda document, tensors: [change(document, tensors) for change in changes]


RULES: list[tuple[Change, str]] = [
    # tensors
    (lambda _, t: t.pop("conv.weight"), "names the tensor 'conv.weight', which is missing or used twice"),
    (
        set_in("nodes", DENSE, "inputs", 1, "weight", "tensor", to="dense.weight"),
        "node 'dense', input 1 names the tensor 'dense.weight', which is missing or used twice",
    ),
    (lambda _, t: t.update(more=np.zeros(3, np.int8)), "the tensor 'more' is used by nothing"),
    (
        array("conv.weight", lambda a: a.astype(np.float32)),
        "tensor 'conv.weight' has dtype F32; an artifact holds I8, I16, I32, I64, U8, U16",
    ),
    (
        array("conv.weight", lambda a: a.astype(bool)),
        "tensor 'conv.weight' has dtype BOOL; an artifact holds I8, I16, I32, I64, U8, U16",
    ),
    (
        array("conv.weight", lambda a: a.astype(np.int16)),
        "tensor 'conv.weight' has dtype int16; 4 bits are stored as int8",
    ),
    (
        array("head.bias", lambda a: a.astype(np.uint8)),
        "tensor 'head.bias' has dtype uint8; 4 bits are stored as int8",
    ),
    (
        array("conv.weight", lambda a: a[..., :2]),
        "node 'conv', input 0 gives the shape (4, 6, 7), not (4, 6, 6)",
    ),
    (
        array("conv.weight", lambda a: a.reshape(-1)),
        "node 'conv', input 0: a conv2d weight has 4 dimensions, not 1",
    ),
    (
        array("dense.weight", lambda a: a.T),
        "node 'dense', input 0, weight has shape (36, 5), not (5, 36)",
    ),
    (array("head.bias", lambda a: a[:2]), "node 'head', bias has shape (2,), not (3,)"),
    (array("conv.threshold", lambda a: a[:0]), "node 'conv', threshold has shape (0,), not (4,)"),
    (put_value("conv.weight", 8), "node 'conv', input 0, weight holds 8, outside -7..7 of its 4 bits"),
    (put_value("conv.weight", -8), "node 'conv', input 0, weight holds -8, outside -7..7 of its 4 bits"),
    (put_value("head.bias", -9), "node 'head', bias holds -9, outside -8..7 of its 4 bits"),
    (put_value("vectors.inputs", 16), "the test vectors' inputs holds 16; 4 bits end at 15"),
    (
        array("vectors.inputs", lambda a: a[:2]),
        "the test vectors' logits have shape (3, 3), not (2, 3)",
    ),
    (
        array("vectors.inputs", lambda a: a[0, 0, 0, 0]),
        "the test vectors' inputs must have the shape (N, 2, 6, 6), got (1,)",
    ),
    (
        array("vectors.inputs", lambda a: a.astype(np.int8)),
        "the test vectors' inputs must be uint8, as direct of 4 bits are, got int8",
    ),
    (
        array("vectors.logits", lambda a: a.astype(np.int32)),
        "the test vectors' logits have dtype int32, not int64",
    ),
    # fields
    (drop("nodes", CONV, "bias"), "node 'conv' lacks the field 'bias'"),
    (drop("provenance"), "the document lacks the field 'provenance'"),
    (set_in("extra", to=1), "the document has the unknown field 'extra'"),
    (
        set_in("nodes", CONV, "neuron", "refractory", to=1),
        "node 'conv', 'neuron' has the unknown field 'refractory'",
    ),
    (set_in("nodes", OR, "bias", to=None), "node 'or' has the unknown field 'bias'"),
    (set_in("nodes", CONV, to=7), "node number 0 is int, not an object"),
    (set_in("time_steps", to="4"), "the document: 'time_steps' is '4', which has the wrong type"),
    (set_in("time_steps", to=True), "the document: 'time_steps' is True, which has the wrong type"),
    (set_in("time_steps", to=4.0), "the document: 'time_steps' is 4.0, which has the wrong type"),
    (set_in("time_steps", to=1025), "time_steps must be 1 to 1,024, got 1,025"),
    (set_in("time_steps", to=-(10**18)), "time_steps must be 1 to 1,024, got -1,000,000,000,000,000,000"),
    (set_in("name", to=" "), "the network's name ' ' is not 1 to 100 printable characters"),
    (set_in("name", to="a\nb"), "the network's name 'a\\nb' is not 1 to 100 printable characters"),
    (set_in("input", "shape", to=[2, 6]), "the input's shape must be (N,) or (C, H, W), got (2, 6)"),
    (set_in("input", "shape", to=[2, 6, 0]), "the input's shape is (2, 6, 0), but every extent is at least 1"),
    (set_in("input", "shape", to=[2, 6, True]), "not a list of integers"),
    (
        set_in("input", "shape", to=[10**9] * 3),
        "the number of elements must be 1 to 4,194,304, got 1,000,000,000,000,000,000,000,000,000",
    ),
    (set_in("input", "kind", to="rate"), "the input's kind is 'rate'; possible: spikes, direct, counts"),
    (set_in("input", "kind", to="spikes"), "the input is spikes, so its bits are 1, not 4"),
    (set_in("input", "bits", to=17), "the input's bits must be 1 to 16, got 17"),
    # graph
    (set_in("nodes", CONV, "op", to="lstm"), "node 'conv'"),
    (
        set_in("nodes", OR, "op", to="conv3d\n" + "x" * 10**5),
        "node 'or', input 0 lacks the field 'weight'",
    ),
    (set_in("nodes", OR, "name", to="conv"), "the name 'conv' is used twice"),
    (set_in("nodes", OR, "name", to="input"), "the name 'input' is used twice"),
    (set_in("nodes", OR, "name", to="a b"), "the node name 'a b' does not match [a-z][a-z0-9_]*"),
    (set_in("nodes", OR, "name", to="\ud800"), "the node name '\\ud800' does not match [a-z][a-z0-9_]*"),
    (
        set_in("nodes", CONV, "inputs", 1, "delay", to=0),
        "node 'conv' reads 'conv' at the same step before it exists: a cycle needs an edge of delay 1",
    ),
    (
        set_in("nodes", OR, "inputs", 0, "node", to="dense"),
        "node 'or' reads 'dense' at the same step before it exists: a cycle needs an edge of delay 1",
    ),
    (set_in("nodes", OR, "inputs", 0, "node", to="nobody"), "node 'or' reads 'nobody', which does not exist"),
    (set_in("nodes", CONV, "inputs", 1, "delay", to=2), "node 'conv' reads 'conv': delay must be 0 or 1, got 2"),
    (set_in("nodes", OR, "inputs", 0, "delay", to=1), "node 'or' reads with a delay; put the delay behind the pool"),
    (set_in("nodes", OR, "inputs", to=[]), "node 'or': the number of inputs must be 1 to 64, got 0"),
    (
        set_in("nodes", SUM, "inputs", to=[{"node": "or", "delay": 0}] * 2),
        "node 'sum' has 2 inputs; a pool has one",
    ),
    (
        set_in("nodes", DENSE, "inputs", 2, "node", to="head"),
        "node 'dense' reads 'head', but the head emits no spikes",
    ),
    (
        set_in("nodes", CONV, "inputs", 0, "delay", to=1),
        "node 'conv' reads 'input' with a delay, but a direct input is the same at every step",
    ),
    (set_in("output", "node", to="nobody"), "the output names the node 'nobody', which does not exist"),
    (
        both(
            lambda d, _: d["nodes"].insert(HEAD, {**d["nodes"][OR], "name": "last"}),
            set_in("output", "node", to="last"),
        ),
        "the head 'last' is a pool; it must sum a current",
    ),
    (set_in("output", "node", to="dense"), "but the head emits no spikes"),
    (set_in("output", "read", to="last"), "the output reads 'last'; possible: accumulate, count, membrane"),
    (set_in("output", "decide", to="max"), "the output decides by 'max'; possible: argmax"),
    (set_in("output", "ties", to="random"), "the output breaks ties by 'random'; possible: lowest"),
    # layers
    (
        set_in("nodes", CONV, "shape_out", to=[4, 6, 5]),
        "node 'conv', input 0 gives the shape (4, 6, 6), not (4, 6, 5)",
    ),
    (
        set_in("nodes", CONV, "shape_in", to=[2, 6, 5]),
        "node 'conv' declares shape_in (2, 6, 5), but 'input' has (2, 6, 6)",
    ),
    (
        set_in("nodes", CONV, "inputs", 0, "stride", to=[0, 1]),
        "node 'conv', input 0: stride must be 1 to 65,535, got 0",
    ),
    (
        set_in("nodes", CONV, "inputs", 0, "padding", to=[3, 1]),
        "node 'conv', input 0: padding is 0 to the kernel's size less one",
    ),
    (set_in("nodes", CONV, "inputs", 0, "padding", to=[1]), "'padding' has 1 numbers, not 2"),
    (
        set_in("nodes", CONV, "inputs", 0, "groups", to=3),
        "node 'conv', input 0: 3 groups divide 2 or 4 channels unevenly",
    ),
    (set_in("nodes", CONV, "inputs", 0, "input_shift", to=32), "input_shift must be 0 to 31, got 32"),
    (
        set_in("nodes", CONV, "inputs", 1, "input_shift", to=1),
        "node 'conv', input 1: input_shift is for edges from a direct input",
    ),
    (set_in("nodes", CONV, "inputs", 1, "shift", to=-1), "node 'conv', input 1: shift must be 0 to 15, got -1"),
    (set_in("nodes", CONV, "inputs", 0, "weight", "bits", to=9), "tensor 'conv.weight' has dtype int8; 9 bits"),
    (set_in("nodes", CONV, "inputs", 0, "weight", "bits", to=0), "bits must be 1 to 32, got 0"),
    (set_in("nodes", CONV, "inputs", 0, "weight", "bits", to=1), "1-bit weights are -1 or +1 only"),
    (set_in("nodes", CONV, "inputs", 0, "weight", to=None), "'weight' is null, but a tensor is needed"),
    (set_in("nodes", DENSE, "inputs", 0, "stride", to=[1, 1]), "has the unknown field 'stride'"),
    (set_in("nodes", DENSE, "shape_out", to=[5, 1, 1]), "node 'dense' is dense, so shape_out is (N,), not (5, 1, 1)"),
    (set_in("nodes", OR, "pool", "kind", to="mean"), "node 'or' has the kind 'mean'; possible: max, sum"),
    (set_in("nodes", OR, "pool", "kernel", to=[7, 7]), "node 'or': the kernel 7x7 is larger than its input 6x6"),
    (set_in("nodes", OR, "pool", "kernel", to=[65, 1]), "node 'or': the kernel of a pool must be 1 to 64, got 65"),
    (set_in("nodes", OR, "pool", "stride", to=[1, 2]), "node 'or' declares shape_out (4, 3, 3), not (4, 5, 3)"),
    (
        both(set_in("nodes", OR, "inputs", 0, "node", to="input"), set_in("nodes", OR, "shape_in", to=[2, 6, 6])),
        "node 'or' pools the direct input; only spikes are pooled",
    ),
    (
        both(
            set_in("nodes", SUM, "inputs", 0, "node", to="or"),
            set_in("nodes", SUM, "shape_in", to=[4, 3, 3]),
            set_in("nodes", OR, "pool", "kind", to="sum"),
            set_in("nodes", SUM, "pool", "kind", to="max"),
        ),
        "node 'sum' takes the maximum of counts; max pooling is an OR of spikes",
    ),
    # neurons
    (set_in("nodes", CONV, "neuron", to=None), "the tensor 'conv.reset_by' is used by nothing"),
    (set_in("nodes", CONV, "neuron", "fire", to=">="), "node 'conv' fires at '>='; only '>' is possible"),
    (set_in("nodes", CONV, "neuron", "reset", to="none"), "node 'conv' has the reset 'none'; possible: zero, subtract"),
    (set_in("nodes", CONV, "neuron", "reset", to="zero"), "node 'conv' resets to zero, so reset_by must be null"),
    (
        set_in("nodes", DENSE, "neuron", "reset", to="subtract"),
        "node 'dense' resets by subtraction, but reset_by is null",
    ),
    (
        set_in("nodes", DENSE, "neuron", "leak", 0, "sign", to=2),
        "node 'dense': the sign of a leak term must be -1 or 1, got 2",
    ),
    (
        set_in("nodes", DENSE, "neuron", "leak", 0, "shift", to=32),
        "node 'dense': the shift of a leak term must be 0 to 31, got 32",
    ),
    (
        set_in("nodes", DENSE, "neuron", "leak", to=[{"sign": 1, "shift": 0}] * 5),
        "node 'dense': the number of leak terms must be 0 to 4, got 5",
    ),
    (set_in("nodes", DENSE, "neuron", "leak", to=[0.5]), "node 'dense', 'neuron', 'leak' is float, not an object"),
    (
        set_in("nodes", DENSE, "neuron", "membrane_bits", to=1),
        "node 'dense': the bits of membranes must be 2 to 16, got 1",
    ),
    (
        set_in("nodes", DENSE, "neuron", "membrane_bits", to=17),
        "node 'dense': the bits of membranes must be 2 to 16, got 17",
    ),
]


@pytest.mark.parametrize(("change", "reason"), RULES, ids=[reason[:50] for _, reason in RULES])
def test_every_rule_has_its_sentence(artifact: Path, change: Change, reason: str) -> None:
    document, tensors = files.pull_apart(artifact)
    change(document, tensors)
    files.put_together(artifact, files.sealed(document, tensors), tensors)
    assert reason in refused(artifact)


CODED_RULES: list[tuple[Change, str]] = [
    (
        set_in("nodes", 0, "codebook", to=[-7, 0, 90]),
        "node 'a', input 0: the weight 13 is not in the node's codebook",
    ),
    (
        array("a.weight.1", lambda a: a + (a == 0)),
        "node 'a', input 1: the weight 1 is not in the node's codebook",
    ),
    (
        set_in("nodes", 0, "codebook", to=[-7, 13, 0, 90]),
        "node 'a': the codebook [-7, 13, 0, 90] is not ascending; each integer stands there once",
    ),
    (
        set_in("nodes", 0, "codebook", to=[-7, 0, 0, 13, 90]),
        "node 'a': the codebook [-7, 0, 0, 13, 90] is not ascending; each integer stands there once",
    ),
    (
        set_in("nodes", 0, "codebook", to=[]),
        "node 'a' has an empty codebook; leave it out, or give the integers that its weights are",
    ),
    (
        set_in("nodes", 1, "codebook", to=[-3, -2, 1, 3, 4]),
        "node 'head': the codebook holds 4, outside -3..3 of weights of 3 bits",
    ),
    (
        set_in("nodes", 0, "codebook", to=[-128, -7, 0, 13, 90]),
        "node 'a': the codebook holds -128, outside -127..127 of weights of 8 bits",
    ),
    (set_in("nodes", 0, "codebook", to=[-7, 0, 13.0, 90]), "'codebook' is [-7, 0, 13.0, 90], not a list of integers"),
    (set_in("nodes", 0, "codebook", to=[True]), "node 'a': 'codebook' is [True], not a list of integers"),
    (set_in("nodes", 0, "codebook", to=None), "node 'a': 'codebook' is None, which has the wrong type"),
    (set_in("nodes", 0, "codebook", to=[-(10**18), 90]), "node 'a': the codebook holds -1000000000000000000, outside"),
]


@pytest.mark.parametrize(("change", "reason"), CODED_RULES, ids=[reason[:60] for _, reason in CODED_RULES])
def test_every_rule_of_codebooks_has_its_sentence(tmp_path: Path, change: Change, reason: str) -> None:
    path = tmp_path / "net.safetensors"
    save(samples.coded(), path)
    document, tensors = files.pull_apart(path)
    change(document, tensors)
    files.put_together(path, files.sealed(document, tensors), tensors)
    assert reason in refused(path)


EARLY_RULES: list[tuple[Change, str]] = [
    (set_in("output", "margins", to=[]), "'output': 'margins' is [], not a list of integers and nulls"),
    (set_in("output", "margins", to=[1, 2.0, 3]), "'margins' is [1, 2.0, 3], not a list of integers and nulls"),
    (set_in("output", "margins", to=[1, 2]), "the output has 2 margins; of 4 time steps 3 can end early"),
    (
        set_in("output", "margins", to=[1, -2, 3]),
        "the output's margin of step 1 must be 0 to 2,199,023,255,552, got -2",
    ),
    (
        set_in("output", "margins", to=[2**41 + 1, 2, 3]),
        "the output's margin of step 0 must be 0 to 2,199,023,255,552, got 2,199,023,255,553",
    ),
    (set_in("output", "margins", to=[None] * 3), "the output's margins are all null: leave them out"),
]


@pytest.mark.parametrize(("change", "reason"), EARLY_RULES, ids=[reason[:60] for _, reason in EARLY_RULES])
def test_every_rule_of_margins_has_its_sentence(tmp_path: Path, change: Change, reason: str) -> None:
    path = tmp_path / "net.safetensors"
    save(samples.early(), path)
    document, tensors = files.pull_apart(path)
    change(document, tensors)
    files.put_together(path, files.sealed(document, tensors), tensors)
    assert reason in refused(path)


STEPPED_RULES: list[tuple[Change, str]] = [
    (
        set_in("nodes", 0, "neuron", "leak", to=[{"sign": 1, "shift": 1}]),
        "node 'a' has boundaries, which say what the membrane keeps, so its leak must be empty",
    ),
    (
        array("a.boundaries", lambda a: a[:, :4]),
        "node 'a', boundaries has shape (3, 4), not (3, 6)",
    ),
    (
        set_in("nodes", 0, "neuron", "membrane_bits", to=4),
        "node 'a', boundaries has shape (3, 6), not (3, 14)",
    ),
    (
        set_in("nodes", 0, "neuron", "membrane_bits", to=9),
        "node 'a': the bits of membranes with boundaries must be 2 to 8, got 9",
    ),
    (
        array("a.boundaries", lambda a: a[:, ::-1]),
        "node 'a': the boundaries of channel 0 are not ascending",
    ),
    (set_in("nodes", 0, "neuron", "boundaries", "bits", to=4), "node 'a', boundaries holds -128, outside -8..7 of"),
    (set_in("nodes", 0, "neuron", "boundaries", to=None), "node 'a', 'neuron', 'boundaries' is null, but a tensor is"),
]


@pytest.mark.parametrize(("change", "reason"), STEPPED_RULES, ids=[reason[:60] for _, reason in STEPPED_RULES])
def test_every_rule_of_boundaries_has_its_sentence(tmp_path: Path, change: Change, reason: str) -> None:
    path = tmp_path / "net.safetensors"
    save(samples.stepped(), path)
    document, tensors = files.pull_apart(path)
    change(document, tensors)
    files.put_together(path, files.sealed(document, tensors), tensors)
    assert reason in refused(path)


def encoding(**fields: Any) -> Change:
    return set_in("input", "encoding", to={"code": "thermometer", "levels": 16, "quantizer": None} | fields)


ONE = {"scale": [1.0], "offset": [0]}
ENCODING_RULES: list[tuple[Change, str]] = [
    (set_in("input", "signed", to=1), "'input': 'signed' is 1, which has the wrong type"),
    (set_in("input", "signed", to=True), "the spikes input is signed; only a direct input can be"),
    (
        both(drop("input", "encoding"), set_in("input", "kind", to="direct"), set_in("input", "signed", to=True)),
        "the bits of a signed input must be 2 to 16, got 1",
    ),
    (set_in("input", "encoding", to=None), "'input': 'encoding' is None, which has the wrong type"),
    (drop("input", "encoding", "levels"), "'input', 'encoding' lacks the field 'levels'"),
    (encoding(base=3), "'input', 'encoding' has the unknown field 'base'"),
    (encoding(code="rate"), "the input's encoding has the code 'rate'; possible: none, thermometer, repeat"),
    (encoding(levels=None), "the input's encoding is a thermometer without levels"),
    (encoding(levels=2), "the levels of a thermometer (for 2 take 'repeat') must be 3 to 65,536, got 2"),
    (encoding(levels=65537), "the levels of a thermometer (for 2 take 'repeat') must be 3 to 65,536, got 65,537"),
    (encoding(levels=4.0), "'levels' is 4.0, which has the wrong type"),
    (encoding(levels=True), "'levels' is True, which has the wrong type"),
    (
        encoding(code="repeat"),
        "the input's encoding has levels, but its code is 'repeat'; only a thermometer has levels",
    ),
    (encoding(code="none", levels=None), "the input's encoding changes nothing: leave it out"),
    (
        set_in("input", "kind", to="counts"),
        "the input's encoding makes spikes by the code 'thermometer', but the input's kind is 'counts'",
    ),
    (encoding(quantizer={"scale": [1]}), "'quantizer' lacks the field 'offset'"),
    (encoding(quantizer=ONE | {"scale": 1}), "'scale' is 1, which has the wrong type"),
    (encoding(quantizer=ONE | {"scale": ["1"]}), "'scale' is ['1'], not a list of numbers"),
    (encoding(quantizer=ONE | {"offset": [False]}), "'offset' is [False], not a list of numbers"),
    (encoding(quantizer=ONE | {"scale": []}), "the input's encoding has 0 numbers as scale; 1 or 2 are possible"),
    (
        encoding(quantizer=ONE | {"offset": [0] * 3}),
        "the input's encoding has 3 numbers as offset; 1 or 2 are possible",
    ),
    (encoding(quantizer=ONE | {"scale": [1, 0]}), "has a scale that is not finite and above 0"),
    (encoding(quantizer=ONE | {"scale": [-1.0]}), "has a scale that is not finite and above 0"),
    (
        encoding(quantizer=ONE | {"offset": [float("inf")]}),
        "its document holds the number Infinity, which is not finite",
    ),
    (set_in("format", to="1.3"), "'input' has the unknown field 'encoding'"),
]


@pytest.mark.parametrize(("change", "reason"), ENCODING_RULES, ids=[reason[:60] for _, reason in ENCODING_RULES])
def test_every_rule_of_encodings_has_its_sentence(tmp_path: Path, change: Change, reason: str) -> None:
    path = tmp_path / "net.safetensors"
    save(samples.warm(), path)
    document, tensors = files.pull_apart(path)
    assert document["format"] == "1.4"
    change(document, tensors)
    files.put_together(path, files.sealed(document, tensors), tensors)
    assert reason in refused(path)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), 0.0])
def test_no_quantizer_divides_by_nothing(scale: float) -> None:
    warm = samples.warm()
    bad = Encoding("thermometer", 16, Quantizer((scale,), (0.0,)))
    with pytest.raises(ArtifactError, match="has a scale that is not finite and above 0"):
        save(dataclasses.replace(warm, input=dataclasses.replace(warm.input, encoding=bad)), "x.safetensors")


def test_margins_of_a_single_logit() -> None:
    network = samples.early()
    head = dataclasses.replace(
        network.nodes[1], shape_out=(1,), inputs=(Edge("a", 0, samples.tensor([[2, -1, -1]], 3)),)
    )
    alone = dataclasses.replace(network, nodes=(network.nodes[0], head))
    with pytest.raises(
        ArtifactError, match=r"^the output has margins, but a single logit has no second to be ahead of$"
    ):
        save(alone, "x.safetensors")


def test_a_codebook_where_there_are_no_weights() -> None:
    network = samples.newer()
    veto = dataclasses.replace(network.nodes[2], codebook=(1,))
    with pytest.raises(ArtifactError, match=r"^node 'veto' has a codebook, but no weights$"):
        save(dataclasses.replace(network, nodes=(*network.nodes[:2], veto, *network.nodes[3:])), "x.safetensors")


LIF, CUBA, VETO, ADD, LAST = 0, 1, 2, 3, 4


def another_sum(name: str, **changes: Any) -> Change:
    """A copy of the node 'sum' behind it."""
    return lambda d, _: d["nodes"].insert(LAST, {**json.loads(json.dumps(d["nodes"][ADD])), "name": name, **changes})


def widened(bits: int) -> Change:
    return set_in("nodes", CUBA, "neuron", "current", "bits", to=bits)


NEWER_RULES: list[tuple[Change, str]] = [
    # joins
    (set_in("nodes", VETO, "join", to="xor"), "node 'veto' joins by 'xor'; possible: or, and, iand, add"),
    (drop("nodes", VETO, "join"), "node 'veto' lacks the field 'join'"),
    (drop("nodes", VETO, "inputs", 1), "node 'veto' is a join and must have at least 2 inputs, got 1"),
    (
        set_in("nodes", ADD, "join", to="iand"),
        "node 'sum' is an iand of 3 inputs; it has 2: (not the first) and the second",
    ),
    (set_in("nodes", VETO, "inputs", 0, "shift", to=1), "node 'veto', input 0 has the unknown field 'shift'"),
    (set_in("nodes", VETO, "bias", to=None), "node 'veto' has the unknown field 'bias'"),
    (set_in("nodes", VETO, "shape_out", to=[3]), "node 'veto' declares shape_out (3,), not (4,)"),
    (set_in("nodes", VETO, "shape_in", to=[3]), "node 'veto' declares shape_in (3,), but 'lif' has (4,)"),
    (
        both(set_in("input", "kind", to="counts"), set_in("input", "bits", to=2)),
        "node 'sum', input 2 is the counts input; only spikes are joined",
    ),
    (
        both(
            another_sum("both", join="or"),
            set_in("nodes", LAST, "inputs", 1, "node", to="sum"),
        ),
        "node 'both', input 1 is a count; 'or' joins spikes only",
    ),
    (
        set_in("nodes", ADD, "inputs", 0, to={"node": "sum", "delay": 1}),
        "node 'sum' adds its own count of the step before, which would grow without bound: put a spiking node into",
    ),
    (
        both(
            another_sum("sum2"),
            set_in("nodes", LAST, "inputs", 0, "node", to="sum"),
            set_in("nodes", ADD, "inputs", 0, to={"node": "sum2", "delay": 1}),
        ),
        "adds its own count of the step before, which would grow without bound",
    ),
    (set_in("nodes", ADD, "inputs", 1, "node", to="head"), "'head', but the head emits no spikes for others to read"),
    # identity edges
    (set_in("nodes", CUBA, "inputs", 1, "op", to="diagonal"), "node 'cuba', input 1 has the op 'diagonal'; possible:"),
    (
        array("cuba.weight.1", lambda a: np.diag(a)),
        "node 'cuba', input 1, weight has shape (4, 4), not (4,)",
    ),
    (put_value("cuba.weight.1", 4), "node 'cuba', input 1, weight holds 4, outside -3..3 of its 3 bits"),
    (set_in("nodes", CUBA, "inputs", 1, "stride", to=[1, 1]), "node 'cuba', input 1 has the unknown field 'stride'"),
    (
        both(set_in("nodes", LIF, "inputs", 0, "op", to="identity"), array("lif.weight", lambda a: a[0])),
        "node 'lif', input 0 is an identity edge; the first input is by the node's own op, dense",
    ),
    (set_in("nodes", CUBA, "inputs", 1, "op", to="conv2d"), "node 'cuba', input 1 lacks the field 'stride'"),
    (
        set_in("nodes", CUBA, "inputs", 1, "input_shift", to=1),
        "node 'cuba', input 1: input_shift is for edges from a direct input",
    ),
    # neurons
    (set_in("nodes", LIF, "neuron", "kind", to="alif"), "is of the unknown kind 'alif'; known: lif, cuba, li"),
    (set_in("nodes", LIF, "neuron", "kind", to="cuba"), "node 'lif', 'neuron' lacks the field 'current'"),
    (set_in("nodes", CUBA, "neuron", "kind", to="lif"), "node 'cuba', 'neuron' has the unknown field 'current'"),
    (set_in("nodes", LIF, "neuron", "refractory", to=-1), "node 'lif': refractory must be 0 to 255, got -1"),
    (set_in("nodes", LIF, "neuron", "refractory", to=256), "node 'lif': refractory must be 0 to 255, got 256"),
    (set_in("nodes", LIF, "neuron", "refractory", to=None), "'refractory' is None, which has the wrong type"),
    (widened(1), "node 'cuba': the bits of synaptic currents must be 2 to 16, got 1"),
    (widened(17), "node 'cuba': the bits of synaptic currents must be 2 to 16, got 17"),
    (
        set_in("nodes", CUBA, "neuron", "current", "leak", 0, "shift", to=32),
        "node 'cuba', current: the shift of a leak term must be 0 to 31, got 32",
    ),
    (set_in("nodes", CUBA, "neuron", "current", "max", to=1), "'neuron', 'current' has the unknown field 'max'"),
    (set_in("nodes", LAST, "neuron", "fire", to=">"), "node 'head', 'neuron' has the unknown field 'fire'"),
    (
        set_in("nodes", LAST, "neuron", "membrane_bits", to=17),
        "node 'head': the bits of membranes must be 2 to 16, got 17",
    ),
    (
        set_in("nodes", LAST, "neuron", "leak", 0, "sign", to=0),
        "node 'head': the sign of a leak term must be -1 or 1, got 0",
    ),
    (
        both(
            set_in("nodes", LIF, "neuron", to={"kind": "li", "leak": [], "membrane_bits": 4}),
            lambda _, t: t.pop("lif.threshold"),
        ),
        "node 'lif' has a neuron of kind 'li', which is for the head only",
    ),
    # heads
    (set_in("output", "read", to="accumulate"), "the head 'head' must have no neuron, as it is read by 'accumulate'"),
    (set_in("output", "read", to="count"), "the head 'head' must have a neuron of kind lif or cuba, as it is read by"),
    (
        set_in("nodes", LAST, "neuron", to=None),
        "the head 'head' must have a neuron of kind 'li', as it is read by 'mem",
    ),
    (
        both(
            another_sum("last"),
            set_in("output", "node", to="last"),
        ),
        "the head 'last' is a join; it must sum a current",
    ),
]


@pytest.mark.parametrize(("change", "reason"), NEWER_RULES, ids=[reason[:50] for _, reason in NEWER_RULES])
def test_every_rule_of_1_1_has_its_sentence(tmp_path: Path, change: Change, reason: str) -> None:
    path = tmp_path / "net.safetensors"
    save(samples.newer(), path)
    document, tensors = files.pull_apart(path)
    change(document, tensors)
    files.put_together(path, files.sealed(document, tensors), tensors)
    assert reason in refused(path)


def test_a_node_without_a_neuron_is_the_output(artifact: Path) -> None:
    document, tensors = files.pull_apart(artifact)
    document["nodes"][DENSE]["neuron"] = None
    del tensors["dense.threshold"]
    files.put_together(artifact, files.sealed(document, tensors), tensors)
    assert refused(artifact) == "node 'dense' has no neuron and is not the output"


def test_unknown_op_is_named(artifact: Path) -> None:
    document, tensors = files.pull_apart(artifact)
    document["nodes"][DENSE]["op"] = "lstm"
    files.put_together(artifact, files.sealed(document, tensors), tensors)
    assert refused(artifact) == "node 'dense' has the unknown op 'lstm'; known: dense, conv2d, pool2d, join"


def test_many_nodes_are_refused_at_once(artifact: Path) -> None:
    document, tensors = files.pull_apart(artifact)
    pool = document["nodes"][OR]
    document["nodes"][OR:OR] = [{**pool, "name": f"p{i}"} for i in range(5000)]
    files.put_together(artifact, files.sealed(document, tensors), tensors)
    assert refused(artifact) == "the number of nodes must be 1 to 1,024, got 5,005"


# ---------------------------------------------------------------- mutations

LITTLE = settings(suppress_health_check=[*HealthCheck], max_examples=2 * settings().max_examples)


def loads_or_refuses(path: Path) -> None:
    """Either a valid network comes back, which can be saved again, or one sentence."""
    try:
        network = load(path)
    except ArtifactError:
        refused(path)
        return
    again = path.with_suffix(".again")
    digest = save(network, again)
    assert content_hash(load(again)) == digest


@LITTLE
@given(network=networks(), data=st.data())
def test_damaged_bytes(tmp_path: Path, network: Network, data: st.DataObject) -> None:
    path = tmp_path / "net.safetensors"
    save(network, path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        found = load(path)
    except ArtifactError:
        refused(path)
    else:
        assert describe(found) == describe(network)


NUMBERS = st.one_of(st.integers(-3, 70), st.sampled_from((2**31, -(2**31), 2**63, 2**64, -(2**64), 10**19)))
VALUES = st.recursive(
    st.one_of(
        NUMBERS,
        st.none(),
        st.booleans(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
        st.sampled_from(("dense", "conv2d", "pool2d", "n0", "n1", "head", "input", "direct", "spikes", "sum", "max")),
        st.sampled_from(("join", "or", "iand", "add", "identity", "count", "membrane", "cuba", "li", "accumulate")),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=2)),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, child in inner for found in ((value, key), *places(child))]


def mutate_document(data: st.DataObject, document: Json) -> None:
    container, key = data.draw(st.sampled_from(places(document)))
    old = container[key]
    how = data.draw(st.sampled_from(("near", "value", "drop", "copy", "add")))
    if how == "near" and isinstance(old, int):
        container[key] = old + data.draw(st.sampled_from((1, -1, 7, 1 << 20, -old)))
    elif how == "drop":
        del container[key]
    elif how == "copy":
        other, where = data.draw(st.sampled_from(places(document)))
        container[key] = json.loads(json.dumps(other[where]))
    elif how == "add" and isinstance(container, list):
        container.insert(key, json.loads(json.dumps(old)))
    elif how == "add":
        container[data.draw(st.text(max_size=3))] = old
    else:
        container[key] = data.draw(VALUES)


def mutate_tensors(data: st.DataObject, tensors: files.Tensors) -> None:
    name = data.draw(st.sampled_from(sorted(tensors)))
    old = tensors[name]
    how = data.draw(st.sampled_from(("drop", "rename", "reshape", "retype", "value", "swap", "empty")))
    if how == "drop":
        del tensors[name]
    elif how == "rename":
        tensors[data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=6))] = tensors.pop(name)
    elif how == "reshape":
        shapes = [(-1,), (1, -1), (-1, 1), (1, *old.shape), (*old.shape, 1), old.shape[::-1]]
        tensors[name] = old.reshape(data.draw(st.sampled_from(shapes)))
    elif how == "retype":
        with np.errstate(over="ignore", invalid="ignore"):
            tensors[name] = old.astype(data.draw(st.sampled_from(sorted(files.DTYPES))))
    elif how == "value":
        if old.size and old.dtype.kind in "iu":
            info = np.iinfo(old.dtype)
            value = data.draw(st.sampled_from((info.min, info.max, max(-1, info.min), 1, 0)))
            old.flat[data.draw(st.integers(0, old.size - 1))] = value
    elif how == "swap":
        other = data.draw(st.sampled_from(sorted(tensors)))
        tensors[name], tensors[other] = tensors[other], tensors[name]
    else:
        tensors[name] = old[:0]


@settings(LITTLE, max_examples=4 * settings().max_examples)
@given(network=st.one_of(networks(max_size=8), networks(max_size=8, features=EVERYTHING)), data=st.data())
def test_mutations_behind_the_hash(tmp_path: Path, network: Network, data: st.DataObject) -> None:
    path = tmp_path / "net.safetensors"
    save(network, path)
    document, tensors = files.pull_apart(path)
    for _ in range(data.draw(st.integers(1, 2))):
        if data.draw(st.integers(0, 3)) and places(document):
            mutate_document(data, document)
        elif tensors:
            mutate_tensors(data, tensors)
    files.put_together(path, files.sealed(document, tensors), tensors)
    loads_or_refuses(path)
