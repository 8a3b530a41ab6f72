"""The command line: help, results, and one sentence for every mistake."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from contract.samples import coded, newer, signed, stepped, warm
from cosim.small import DIRECT, NEURONS, call
from strategies import with_zeros
from sw.test_runs import RECIPE, write_data

from mintaka.artifact import Network, Result, encode, run, save

Capture = pytest.CaptureFixture[str]
COMMANDS = ["demo", "doctor", "train", "export", "show", "run", "generate", "cosim", "build", "report"]


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "network.safetensors"
    save(DIRECT.network, path)
    return path


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Inputs for DIRECT with labels, as a data set of 40 test samples too."""
    path = tmp_path / "samples.npz"
    x = DIRECT.inputs(40)
    y = np.arange(40) % 6
    np.savez(path, x=x, y=y, x_test=x, y_test=run(DIRECT.network, x).classes)
    return path


def logits(capsys: Capture, artifact: Path, x: object, *options: str) -> tuple[list[list[int]], str]:
    """What `run` gives for these numbers, and what it warns of."""
    np.savez(artifact.parent / "x.npz", x=np.array(x))
    out = artifact.parent / "y.npz"
    done = call(capsys, "run", artifact, "--input", artifact.parent / "x.npz", "--out", out, *options)
    assert done.status == 0, done.err
    with np.load(out) as arrays:
        return arrays["logits"].tolist(), done.err


@pytest.mark.parametrize("backend", ["reference", "fast"])
def test_a_sample_hangs_on_no_other_of_its_file(capsys: Capture, tmp_path: Path, backend: str) -> None:
    """Numbers for spikes: by the artifact's levels, or by those that are given for an artifact that has none."""
    path, x, options = tmp_path / "warm.safetensors", [[3, 4], [15, 0], [9, 9]], ["--backend", backend]
    save(warm(), path)
    alone = [logits(capsys, path, [each], *options)[0][0] for each in x]
    assert alone == [[2], [4], [2 + 2 * 2]]
    assert logits(capsys, path, x[::-1] + x, *options) == ([*alone[::-1], *alone], "")
    assert "encoding: integers from 0 to 15 become spikes by" in " ".join(call(capsys, "show", path).out.split())
    save(replace(warm(), input=replace(warm().input, encoding=None)), path)
    done = call(capsys, "run", path, "--input", tmp_path / "x.npz", "--out", tmp_path / "z.npz", *options)
    assert (done.status, done.out) == (1, "")
    assert "x.npz: the network takes spikes of 4 steps, and its artifact does not say how" in done.err
    assert "encoding: none: samples are spikes" in " ".join(call(capsys, "show", path).out.split())
    given = [logits(capsys, path, [each], *options, "--input-levels", "16")[0][0] for each in x]
    assert given == alone
    assert logits(capsys, path, x, *options, "--input-levels", "16") == (alone, "")


@pytest.mark.parametrize("backend", ["reference", "fast"])
def test_real_numbers_are_quantized_and_what_is_clipped_is_said(capsys: Capture, tmp_path: Path, backend: str) -> None:
    path, x = tmp_path / "signed.safetensors", np.array([[0.5, 2.7, -1.002], [99.0, 2.5, 0.0]])
    save(signed(), path)
    q = encode(signed(), x)
    assert q.tolist() == [[1, 2, -2], [7, 0, 7]]
    found, said = logits(capsys, path, x, "--backend", backend)
    assert found == run(signed(), q).logits.tolist()
    assert (
        said == f"mintaka: {tmp_path / 'x.npz'}: 2 of 6 numbers were clipped: they lie beyond the range of the "
        "network's input\n"
    )
    shown = " ".join(call(capsys, "show", path).out.split())
    assert "input 3, 4 bits, signed, direct" in shown
    assert (
        "encoding: rint((x - offset) / scale), clipped to -8..7, becomes the input; scale 0.001 to 0.5, one per"
        in shown
    )
    facts = json.loads(call(capsys, "show", path, "--json").out)
    assert facts["encoding"]["quantizer"]["scale"] == [0.5, 0.1, 0.001]


@pytest.mark.parametrize(
    "command", [*([name] for name in COMMANDS), *(["data", x] for x in ("list", "fetch", "check"))]
)
def test_help_has_an_example(capsys: Capture, command: list[str]) -> None:
    done = call(capsys, *command, "--help")
    assert done.status == 0
    assert f"Example: mintaka {' '.join(command)}" in " ".join(done.out.split())


def test_main_help_names_every_command(capsys: Capture) -> None:
    done = call(capsys, "--help")
    assert done.status == 0
    assert all(f" {name} " in done.out for name in (*COMMANDS, "data"))


def test_show_of_joins_and_other_neurons(capsys: Capture, tmp_path: Path) -> None:
    """A membrane of 8 bits and a refractory counter of 2; one and a synaptic current of 4; a head that never fires."""
    save(newer(), tmp_path / "newer.safetensors")
    done = call(capsys, "show", tmp_path / "newer.safetensors")
    assert done.status == 0
    assert all(word in done.out for word in ("iand join", "add join", "none: never fires"))
    facts = json.loads(call(capsys, "show", tmp_path / "newer.safetensors", "--json").out)
    bits = {layer["name"]: layer["membrane_memory_bits"] for layer in facts["layers"]}
    assert bits == {"lif": 4 * (8 + 2), "cuba": 4 * (8 + 4), "veto": 0, "sum": 0, "head": 4 * 6}


def test_show_of_codebooks(capsys: Capture, tmp_path: Path) -> None:
    """15 weights as places of 2 bits and 4 integers of 8, 6 as places of 3 bits and 5 integers of 3."""
    save(coded(), tmp_path / "coded.safetensors")
    done = call(capsys, "show", tmp_path / "coded.safetensors", "--plan", "--lanes", "2")
    assert done.status == 0
    assert all(
        words in done.out for words in ("8 as places of 2", "weight place 2, weight 8", "weight place 3, weight 3")
    )
    facts = json.loads(call(capsys, "show", tmp_path / "coded.safetensors", "--lanes", "2", "--json").out)
    assert [layer["weight_memory_bits"] for layer in facts["layers"]] == [15 * 2 + 4 * 8, 6 * 3 + 5 * 3]
    found = [{memory["name"]: memory["bits"] for memory in stage["memories"]} for stage in facts["hardware"]["stages"]]
    assert [(memories["weights"], memories["codebook"]) for memories in found] == [(2 * 10 * 2, 4 * 8), (3 * 6, 5 * 3)]


def test_membranes_by_boundaries_are_shown_and_not_built(capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "stepped.safetensors"
    save(stepped(), path)
    done = call(capsys, "show", path, "--graph", tmp_path / "net.svg")
    assert done.status == 0
    assert all(
        words in done.out for words in ("by 6 boundaries", "by 2 boundaries", "hardware: none, because node 'a'")
    )
    assert "leak by 6 boundaries" in (tmp_path / "net.svg").read_text()
    done = call(capsys, "generate", path, "--out", tmp_path / "verilog")
    assert done.status == 1
    assert done.err.startswith("mintaka: node 'a' stores its membranes by boundaries, for which there is no hardware")
    assert not (tmp_path / "verilog").exists()


def test_show(capsys: Capture, artifact: Path) -> None:
    done = call(capsys, "show", artifact)
    assert done.status == 0
    assert all(word in done.out for word in ("hidden1", "head", "sha256:", "V >> 1", "SOPs"))
    facts = json.loads(call(capsys, "show", artifact, "--json").out)
    assert facts["hash"].startswith("sha256:")
    hidden, head = facts["layers"]
    assert hidden["weight_memory_bits"] == 20 * 13 * 4
    assert hidden["membrane_memory_bits"] == 13 * 4
    # every one of three bit-planes, once per sample; then every spike at each of three steps
    assert hidden["max_sops"] == 3 * hidden["nonzero_weights"]
    assert head["max_sops"] == 3 * head["nonzero_weights"]
    assert facts["max_sops"] == hidden["max_sops"] + head["max_sops"]
    memories = [memory for stage in facts["hardware"]["stages"] for memory in stage["memories"]]
    assert facts["hardware"]["memory_bits"] == sum(memory["bits"] for memory in memories)


def test_the_bound_of_sops_is_reached(artifact: Path, capsys: Capture) -> None:
    facts = json.loads(call(capsys, "show", artifact, "--json").out)
    most = np.full(DIRECT.network.input_shape(1), 7, np.uint8)
    assert int(run(DIRECT.network, most).sops["hidden1"][0]) == facts["layers"][0]["max_sops"]


def test_run_gives_the_same_arrays_on_every_backend(
    capsys: Capture, artifact: Path, samples: Path, tmp_path: Path
) -> None:
    found = {}
    for backend in ("reference", "fast", "rtl"):
        out = tmp_path / f"{backend}.npz"
        words = ["run", artifact, "--input", samples, "--backend", backend, "--out", out, "--trace"]
        done = call(capsys, *words, "--lanes", "hidden1=4,head=6", "--json")
        assert done.status == 0, done.err
        assert json.loads(done.out)["samples"] == 40
        assert json.loads(done.out).get("differences") == (0 if backend == "rtl" else None)
        with np.load(out) as arrays:
            found[backend] = dict(arrays)
    wanted = found["reference"]
    layers = {"sops/hidden1", "sops/head", "k/hidden1", "k/head", "spikes/hidden1", "membranes/hidden1"}
    assert set(wanted) == {"logits", "classes", "steps", "sops"} | layers
    assert wanted["logits"].shape == (40, 6)
    assert wanted["spikes/hidden1"].shape == (40, 3, 13)
    assert all(values.dtype == np.int64 for values in wanted.values())
    for backend in ("fast", "rtl"):
        assert set(found[backend]) == set(wanted)
        for name, values in wanted.items():
            assert np.array_equal(found[backend][name], values), (backend, name)


def test_a_trace_has_synaptic_currents(capsys: Capture, tmp_path: Path) -> None:
    """As far as a layer's neurons have them."""
    save(NEURONS.network, tmp_path / "neurons.safetensors")
    np.savez(tmp_path / "x.npz", x=NEURONS.inputs(2))
    words = ("run", tmp_path / "neurons.safetensors", "--input", tmp_path / "x.npz", "--out", tmp_path / "y.npz")
    assert call(capsys, *words, "--trace").status == 0
    wanted = run(NEURONS.network, NEURONS.inputs(2), trace=True).trace
    with np.load(tmp_path / "y.npz") as arrays:
        assert {name for name in arrays if name.startswith("currents/")} == {"currents/conv2"}
        assert np.array_equal(arrays["currents/conv2"], wanted["conv2"].j)


def test_verilog_that_differs_is_told(
    capsys: Capture, artifact: Path, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(network: Network, inputs: np.ndarray, **_: object) -> Result:
        found = run(network, inputs, trace=True)
        found.trace["hidden1"].k[7, 1, 2] += 1
        return found

    monkeypatch.setattr("mintaka_cosim.bench.simulate", wrong)
    words = ("run", artifact, "--input", samples, "--backend", "rtl", "--out", tmp_path / "y.npz")
    assert call(capsys, *words).status == 0  # nothing of it was asked for
    done = call(capsys, *words, "--trace")
    assert done.status == 1
    said = (
        "mintaka: the Verilog differs from the reference in 1 values, first sample 7, step 1, layer 'hidden1', neuron 2"
    )
    assert said in done.err


def test_generate_is_deterministic(capsys: Capture, artifact: Path, tmp_path: Path) -> None:
    texts = []
    for folder in ("a", "b"):
        done = call(capsys, "generate", artifact, "--lanes", "4", "--out", tmp_path / folder, "--json")
        assert done.status == 0
        facts = json.loads(done.out)
        assert facts["lanes"] == {"hidden1": 4, "head": 4}
        texts.append(Path(facts["verilog"]).read_text())
    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]


def test_sparse_weight_memories(capsys: Capture, samples: Path, tmp_path: Path) -> None:
    """Every command that plans takes the option, says which layers have one, and simulates what was planned."""
    path = tmp_path / "pruned.safetensors"
    save(with_zeros(DIRECT.network, 0.9, 1), path)
    words = ["--lanes", "hidden1=4,head=6", "--sparse", "hidden1"]
    done = call(capsys, "generate", path, *words, "--out", tmp_path / "v")
    assert done.status == 0, done.err
    assert "13 neurons on 4 lanes, " in done.out
    facts = json.loads(call(capsys, "generate", path, *words, "--out", tmp_path / "v", "--json").out)
    assert facts["sparse"] == ["hidden1"]
    assert (
        facts["memory_bits"]
        < json.loads(call(capsys, "show", path, *words[:2], "--json").out)["hardware"]["memory_bits"]
    )
    done = call(capsys, "show", path, *words, "--plan")
    assert "sparse weights in hidden1; " in " ".join(done.out.split())
    assert "index" in done.out
    assert json.loads(call(capsys, "show", path, "--lanes", "4", "--json").out)["hardware"]["sparse"] == []
    done = call(capsys, "cosim", path, "--data", samples, *words, "--json")
    assert done.status == 0, done.err
    figures = json.loads(done.out)
    assert figures["sparse"] == ["hidden1"]
    assert figures["cycles_as_predicted"] is True


def test_generate_a_file_per_module(capsys: Capture, artifact: Path, tmp_path: Path) -> None:
    done = call(capsys, "generate", artifact, "--split", "--top", "eye", "--out", tmp_path / "v", "--json")
    assert done.status == 0
    names = (tmp_path / "v" / "files.f").read_text().split()
    assert [Path(path).name for path in json.loads(done.out)["files"]] == names
    assert names[:2] == ["eye.v", "eye__layer_hidden1.v"]


def test_nothing_is_simulated_where_nothing_can_be_written(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, artifact: Path, samples: Path
) -> None:
    """The user hears of it before the work, not after it."""
    monkeypatch.setattr("mintaka_cosim.bench.cosim", lambda *_, **__: pytest.fail("it was simulated"))
    done = call(capsys, "cosim", artifact, "--data", samples, "--out", samples / "figures.json")
    assert done.status == 1
    assert "--out" in done.err


def test_cosim_and_report(capsys: Capture, artifact: Path, samples: Path) -> None:
    words = ["cosim", artifact, "--data", samples, "--lanes", "hidden1=4,head=6"]
    done = call(capsys, *words, "--samples", "12", "--taps", "--stalls", "--seed", "5")
    assert done.status == 0, done.err
    assert "bit-exact: 12 samples, 468 spikes, 468 membrane values compared, 0 differ" in " ".join(done.out.split())
    done = call(capsys, *words, "--json")
    assert done.status == 0, done.err
    figures = json.loads(done.out)
    assert figures["compared"]["samples"] == 40
    assert figures["accuracy"] == 1.0  # the labels are the reference's classes
    assert figures["cycles_as_predicted"] is True
    names = sorted(re.sub("[0-9a-f]{8}", "#", path.name) for path in artifact.parent.glob("cosim*.json"))
    assert names == ["cosim-#.json", "cosim-taps-stalls-#.json"]
    few = call(capsys, *words, "--samples", "12")  # says less, and takes no other's place
    assert few.status == 0, few.err
    done = call(capsys, "report", artifact.parent, "--json")
    assert done.status == 0, done.err
    report = json.loads(done.out)
    assert [each["samples"] for each in report["comparisons"]] == [12, 40, 12]
    assert report["comparisons"][0]["title"].startswith("every value (cocotb), random stalls")
    assert report["bit_exact"] is True
    assert json.loads((artifact.parent / "report.json").read_text()) == report
    assert "bit-exact" in (artifact.parent / "report.html").read_text()


def test_labels_that_the_network_does_not_have(capsys: Capture, artifact: Path, samples: Path, tmp_path: Path) -> None:
    """No accuracy is made of them, by whatever command."""
    with np.load(samples) as arrays:
        np.savez(tmp_path / "more.npz", x=arrays["x"], y=np.arange(len(arrays["x"])) % 8)
    for words in (("cosim", artifact, "--data"), ("run", artifact, "--out", tmp_path / "y.npz", "--input")):
        done = call(capsys, *words, tmp_path / "more.npz")
        assert (done.status, done.out) == (1, "")
        assert "more.npz: y holds the class 6, but the network has the classes 0 to 5" in done.err


def test_a_file_without_samples(capsys: Capture, artifact: Path, samples: Path, tmp_path: Path) -> None:
    with np.load(samples) as arrays:
        none = arrays["x"][:0]
    for labels in ({}, {"y": np.zeros(0, np.int64)}):
        np.savez(tmp_path / "none.npz", x=none, **labels)
        done = call(capsys, "run", artifact, "--out", tmp_path / "y.npz", "--input", tmp_path / "none.npz")
        assert (done.status, done.out) == (1, "")
        assert "none.npz: x holds no sample" in done.err


def test_lanes_that_no_layer_can_use_are_said(capsys: Capture, artifact: Path) -> None:
    done = call(capsys, "show", artifact, "--plan", "--json", "--lanes", "1024")
    most = max(node.channels for node in DIRECT.network.nodes)
    assert f"--lanes 1024: a layer gets no more lanes than it has neurons or channels, here at most {most}" in done.err
    assert done.status == 0
    fits = call(capsys, "show", artifact, "--plan", "--json", "--lanes", str(most))
    assert (fits.out, fits.err) == (done.out, "")
    done = call(capsys, "show", artifact, "--plan", "--lanes", "99999999")
    assert (done.status, done.err) == (1, "mintaka: lanes must be 1 to 1,024, got 99,999,999\n")


def test_data(capsys: Capture, samples: Path) -> None:
    listed = json.loads(call(capsys, "data", "list", "--json").out)
    assert {"digits", "mnist", "fashion-mnist"} <= {each["name"] for each in listed}
    assert "yes" in call(capsys, "data", "list").out
    facts = json.loads(call(capsys, "data", "check", "digits", "--json").out)
    assert (facts["train"], facts["test"], facts["shape"], facts["classes"]) == (1347, 450, [1, 8, 8], 10)
    assert json.loads(call(capsys, "data", "check", samples, "--json").out)["test"] == 40
    assert "of 30 inputs; real numbers (0 to 4254); 2 classes" in " ".join(
        call(capsys, "data", "check", "wdbc").out.split()
    )


def test_classes_that_are_texts(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused with the mapping, then mapped, and read by their names from then on."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "numbers.npz")
    with np.load("numbers.npz") as numbers:
        np.savez("own.npz", x=numbers["x"], y=np.array(["a\x1b[31m", "b", "c"])[numbers["y"]])
    (tmp_path / "r.toml").write_text(RECIPE.format(data="own.npz"))
    done = call(capsys, "data", "check", "own.npz")
    assert done.status == 1
    assert "own: 72 training and 18 test samples of 6 inputs; 4 bits (0 to 14); 3 classes" in done.out
    assert ["b", "24", "6"] in [line.split() for line in done.out.splitlines()]
    assert 'the classes in y are texts (a\\x1b[31m, b, c): labels = "map" in the recipe numbers them' in done.err
    assert "\x1b" not in done.out + done.err
    facts = json.loads(call(capsys, "data", "check", "own.npz", "--json").out)
    assert (facts["classes"], facts["counts"][1]) == (3, {"name": "b", "train": 24, "test": 6})
    done = call(capsys, "train", "r.toml")
    assert (done.status, "labels = " in done.err) == (1, True)
    (tmp_path / "r.toml").write_text('labels = "map"\n' + RECIPE.format(data="own.npz"))
    done = call(capsys, "train", "r.toml")
    assert done.status == 0, done.err
    assert "own: 72 training and 18 test samples" in done.err
    assert re.search(r"recall by class: a\\x1b\[31m [\d.]+%, b [\d.]+%, c [\d.]+%", done.out)
    facts = json.loads(call(capsys, "export", "runs/mine", "--json").out)
    words = ["run", facts["artifact"], "--input", "own.npz", "--out", "y.npz", "--json"]
    by_name = json.loads(call(capsys, *words).out)["accuracy"]
    assert by_name is not None
    np.savez("other.npz", x=np.ones((3, 6), int), y=["b", "b", "d"])
    done = call(capsys, *words[:3], "other.npz", *words[4:])
    assert (done.status, "y holds the class 'd', but the network's classes are a" in done.err) == (1, True)
    done = call(capsys, "report", "runs/mine")
    assert done.status == 0, done.err
    assert "recall by class: a\\x1b[31m" in done.out


def test_a_rare_class(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before the training, and after it where the network never answers it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("own.npz", x=rng.integers(0, 15, (200, 6)), y=(np.arange(200) % 20 == 0).astype(int))
    quick = RECIPE.format(data="own.npz").replace("batch = 16", "batch = 16\nlearning_rate = 0.02")
    (tmp_path / "r.toml").write_text(quick)
    rare = "own: class 1 has 8 training samples, class 0 has 152: a network may never answer the rare one"
    done = call(capsys, "data", "check", "own.npz")
    assert (done.status, rare in done.err) == (0, True)
    done = call(capsys, "train", "r.toml", "--json")
    assert (done.status, rare in done.err) == (0, True)
    silent = "class 1 (2 test samples) is never predicted"
    assert silent in done.err
    assert json.loads(done.out)["classes"][1] == {"name": "1", "samples": 2, "right": 0, "predicted": 0, "recall": 0.0}
    call(capsys, "export", "runs/mine")
    assert f"warning: {silent}" in " ".join(call(capsys, "report", "runs/mine").out.split())


# ---- mistakes


# {t} is a folder with the artifact, the samples and the files of `spoil`.
MISTAKES = {
    "no artifact": ("show {t}/none", "there is no such file"),
    "foreign artifact": ("show {t}/samples.npz", "samples.npz"),
    "truncated artifact": ("show {t}/damaged.safetensors", "damaged.safetensors"),
    "unknown layer": ("show {t}/network.safetensors --lanes none=3", "'none'"),
    "bad lanes": ("generate {t}/network.safetensors --lanes x --out {t}/v", "'x' is not a number"),
    "half lanes": ("generate {t}/network.safetensors --lanes head= --out {t}/v", "'' is not a number"),
    "too many lanes": ("generate {t}/network.safetensors --lanes head=7 --out {t}/v", "at most 6"),
    "unknown sparse": ("show {t}/network.safetensors --sparse none,head", "there is no layer 'none' to be made sparse"),
    "sparse twice": ("generate {t}/network.safetensors --sparse head,head --out {t}/v", "each layer once"),
    "no lanes": ("generate {t}/network.safetensors --lanes 0 --out {t}/v", "must be 1 to 1,024, got 0"),
    "no input": ("run {t}/network.safetensors --input {t}/none.npz --out {t}/y.npz", "no such file"),
    "one array": ("run {t}/network.safetensors --input {t}/one.npy --out {t}/y.npz", "is an .npy file"),
    "damaged input": ("run {t}/network.safetensors --input {t}/damaged.npz --out {t}/y.npz", "is no intact .npz"),
    "no x": ("run {t}/network.safetensors --input {t}/z.npz --out {t}/y.npz", "no array 'x'"),
    "wrong shape": (
        "run {t}/network.safetensors --input {t}/shape.npz --out {t}/y.npz",
        "must have the shape (N, 20), got",
    ),
    "reals": ("run {t}/network.safetensors --input {t}/reals.npz --out {t}/y.npz", "reals.npz: sample 0 holds 0.5"),
    "negative": ("run {t}/network.safetensors --input {t}/negative.npz --out {t}/y.npz", "sample 0 holds -1"),
    "too large": ("run {t}/network.safetensors --input {t}/large.npz --out {t}/y.npz", "integers from 0 to 7"),
    "levels": (
        "run {t}/network.safetensors --input {t}/samples.npz --out {t}/y.npz --input-levels 8",
        "levels are for an input of spikes",
    ),
    "empty": ("run {t}/network.safetensors --input {t}/empty.npz --out {t}/y.npz", "no sample"),
    "out is a folder": ("run {t}/network.safetensors --input {t}/samples.npz --out {t}", "is a directory"),
    "unknown data": ("cosim {t}/network.safetensors --data mnits", "mnits"),
    "too many samples": ("cosim {t}/network.safetensors --data {t}/samples.npz --samples 41", "has 40"),
    "data do not fit": (
        "cosim {t}/network.safetensors --data digits",
        "digits: y holds the class 6, but the network has",
    ),
    "out below a file": ("generate {t}/network.safetensors --out {t}/z.npz/v", "--out {t}/z.npz/v: "),
    "out is a file": ("generate {t}/network.safetensors --out {t}/z.npz", "is no folder that can be written into"),
    "bad top": ("generate {t}/network.safetensors --out {t}/v --top Top", "'Top' cannot name the top module"),
    "figures are a folder": ("cosim {t}/network.safetensors --data {t}/samples.npz --out {t}", "--out {t}: is a dir"),
    "figures below a file": ("cosim {t}/network.safetensors --data {t}/samples.npz --out {t}/z.npz/f", "--out {t}/z"),
    "work below a file": ("cosim {t}/network.safetensors --data {t}/samples.npz --work {t}/z.npz/w", "--work {t}/z"),
    "waves below a file": ("cosim {t}/network.safetensors --data {t}/samples.npz --waves {t}/z.npz/w.vcd", "--waves"),
    "other waves": ("cosim {t}/network.safetensors --data {t}/samples.npz --waves {t}/w.png", "as .fst or .vcd"),
    "picture is a folder": ("show {t}/network.safetensors --graph {t}", "--graph {t}: is a directory"),
    "picture of another kind": (
        "show {t}/network.safetensors --graph {t}/w.png",
        "w.png: the file's name must end in .svg",
    ),
    "results of another kind": ("run {t}/network.safetensors --input {t}/samples.npz --out {t}/y.txt", "end in .npz"),
    "out is a device": ("run {t}/network.safetensors --input {t}/samples.npz --out /dev/null", "null: is a device"),
    "figures of another kind": ("cosim {t}/network.safetensors --data {t}/samples.npz --out {t}/y.txt", "in .json"),
    "figures are a device": ("cosim {t}/network.safetensors --data {t}/samples.npz --out /dev/null", "is a device"),
    "unknown recipe": ("train {t}/none.toml", "none.toml"),
    "no recipe": ("train {t}/network.safetensors", "network.safetensors"),
    "nothing trained": ("export {t}", "no checkpoint"),
    "no run": ("report {t}/none", "there is no such run folder"),
    "demo elsewhere": ("demo --recipe {t}/none.toml", "no such file"),
    "unknown arrays": ("data check {t}/none.npz", "no such file"),
}


@pytest.fixture
def spoil(artifact: Path, samples: Path, tmp_path: Path) -> Path:
    """The folder with files that are wrong in one way each."""
    (tmp_path / "damaged.safetensors").write_bytes(artifact.read_bytes()[:100])
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "damaged.npz").write_bytes(samples.read_bytes()[:90])
    np.savez(tmp_path / "z.npz", z=np.ones(3))
    np.savez(tmp_path / "shape.npz", x=np.ones((3, 5), np.uint8))
    np.savez(tmp_path / "reals.npz", x=np.full((3, 20), 0.5))
    np.savez(tmp_path / "negative.npz", x=-np.ones((3, 20), np.int64))
    np.savez(tmp_path / "large.npz", x=np.full((3, 20), 8))
    np.savez(tmp_path / "empty.npz", x=np.ones((0, 20), np.int64))
    return tmp_path


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("machine", [False, True])
def test_a_mistake_is_one_sentence(capsys: Capture, spoil: Path, name: str, machine: bool) -> None:
    command, expected = MISTAKES[name]
    words = [word.format(t=spoil) for word in command.split()]
    done = call(capsys, *words, *(["--json"] if machine else []))
    assert done.status == 1
    assert done.out == ""
    lines = [line for line in done.err.splitlines() if line and not line.endswith(" ...")]
    assert len(lines) == 1, done.err
    assert lines[0].startswith("mintaka: ")
    assert expected.format(t=spoil) in lines[0]
    assert "Traceback" not in done.err
    assert not (spoil / "y.npz").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["shwo"],
        ["show"],
        ["run", "x", "--backend", "gpu", "--input", "x", "--out", "y"],
        ["cosim", "x", "--data", "digits", "--samples", "0"],
        ["cosim", "x", "--data", "digits", "--nonsense"],
    ],
)
def test_usage_errors_exit_with_2(capsys: Capture, words: list[str]) -> None:
    done = call(capsys, *words)
    assert done.status == 2
    assert done.out == ""
    assert "Traceback" not in done.err


def test_ctrl_c_exits_with_130(capsys: Capture, monkeypatch: pytest.MonkeyPatch, artifact: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mintaka.artifact.load", interrupt)
    done = call(capsys, "show", artifact)
    assert done.status == 130
    assert done.err.startswith("mintaka: interrupted")


def test_defects_of_the_program_are_not_hidden(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, artifact: Path
) -> None:
    def defect(*_: object) -> None:
        raise IndexError("a defect")

    monkeypatch.setattr("mintaka.artifact.load", defect)
    with pytest.raises(IndexError, match="a defect"):
        call(capsys, "show", artifact)


def test_a_failed_write_leaves_the_old_file(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, artifact: Path, samples: Path, tmp_path: Path
) -> None:
    out = tmp_path / "old.npz"
    out.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(out))

    monkeypatch.setattr(np, "savez_compressed", fail)
    done = call(capsys, "run", artifact, "--input", samples, "--out", out)
    assert done.status == 1
    assert "no space left on device" in done.err
    assert out.read_text() == "old"
    assert not list(tmp_path.glob(".old*"))


def test_network_without_hardware_is_shown_but_not_generated(capsys: Capture, tmp_path: Path) -> None:
    from dataclasses import replace

    network = DIRECT.network
    spare = replace(network.nodes[0], name="spare")  # which nothing reads
    path = tmp_path / "network.safetensors"
    save(replace(network, nodes=(spare, *network.nodes)), path)
    done = call(capsys, "show", path)
    assert done.status == 0
    assert "hardware: none, because node 'spare'" in " ".join(done.out.split())
    done = call(capsys, "generate", path, "--out", tmp_path / "v")
    assert done.status == 1
    assert "node 'spare'" in done.err
