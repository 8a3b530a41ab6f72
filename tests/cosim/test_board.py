"""The Verilated board behind a pseudo-terminal: the same program that talks to a board talks to it."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import serial
from cosim.small import DIRECT, SPIKES, Called, Case, call
from handmade import signed, with_margins

from mintaka.artifact import Encoding, Quantizer, run, save
from mintaka.host import Board, HostError
from mintaka.host.protocol import ESCAPE, FLAG, REPLY, Fault, Frame, FrameDecoder, Kind, sample_payloads
from mintaka_cosim.bench.board import virtual_board
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.implement import Board as BoardFiles
from mintaka_hw.implement import BoardDesign, generate_board, load_board
from mintaka_hw.plan import Plan, make_plan

SKEW = 0.02  # of the other end of the line
SCALE, OFFSET = 0.25, -1.0
SENSOR = replace(
    signed(DIRECT.network).input, encoding=Encoding("none", None, Quantizer((SCALE,), (OFFSET,)))
)  # takes real numbers


@dataclass(frozen=True)
class Made:
    """A case, its plan and its board's design."""

    case: Case
    plan: Plan
    design: BoardDesign


def made(case: Case, board: BoardFiles, folder: Path) -> Made:
    slow = board.model_copy(update={"clock": board.clock.model_copy(update={"hz": 1_000_000})})
    plan = make_plan(case.network, case.lanes)
    return Made(case, plan, generate_board(plan, slow, folder, baud=125_000))


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Made:
    case = replace(DIRECT, network=replace(DIRECT.network, input=SENSOR))
    return made(case, load_board("icebreaker"), tmp_path_factory.mktemp("board"))


@pytest.fixture
def port(direct: Made) -> Iterator[str]:
    with virtual_board(direct.design, skew=SKEW, optimize=False) as found:
        yield found


def check(port: str, made: Made, samples: int) -> None:
    """Samples through the board give the reference's integers and the cycle model's cycles."""
    inputs = made.case.inputs(samples, seed=5)
    with Board(port, timeout=10) as board:
        found = board.run(made.case.network, inputs)
    expected = run(made.case.network, inputs)
    assert np.array_equal(found.result.logits, expected.logits)
    assert np.array_equal(found.result.classes, expected.classes)
    assert np.array_equal(found.result.steps, expected.steps)
    for name, sops in expected.sops.items():
        assert np.array_equal(found.result.sops[name], sops)
    alone = [int(predict_cycles(made.plan, inputs[n : n + 1]).result[0]) for n in range(samples)]
    assert found.cycles.tolist() == alone, "every sample is a first sample"
    assert found.retries == 0


def test_a_board_gives_what_the_reference_gives(port: str, direct: Made) -> None:
    with Board(port) as board:
        who = board.identity
    assert (who.shape, who.time_steps, who.classes, who.clock_hz) == ((20,), 3, 6, 1_000_000)
    assert (who.input_kind, who.bits) == ("signed", 3)
    check(port, direct, 6)


def test_samples_that_stop_early(tmp_path: Path) -> None:
    """With margins, on a board whose button is active high, with the other end of the line faster."""
    network = with_margins(SPIKES.network, SPIKES.inputs(30), never=1)
    case = made(replace(SPIKES, network=network), load_board("pynq-z2"), tmp_path)
    assert set(run(network, case.case.inputs(8, seed=5)).steps) > {network.time_steps}
    with virtual_board(case.design, skew=-SKEW, optimize=False) as port:
        check(port, case, 8)


def test_no_noise_wedges_a_board(port: str, direct: Made) -> None:
    """Behind any bytes, the next good frame is answered at once, without a pause or a second try."""
    rng = random.Random(7)
    inputs = direct.case.inputs(1)
    wanted = run(direct.case.network, inputs).logits[0].tolist()
    with Board(port) as board:
        payload, identity = sample_payloads(inputs, board.identity)[0], board.identity
    good = Frame(Kind.RUN, 0, payload).encoded()
    with serial.Serial(port, 115200, timeout=0.01) as line:
        decoder = FrameDecoder()
        for tag in range(1, 60):
            kind = rng.randrange(5)
            garbage = bytes(rng.choice([rng.randrange(256), FLAG, ESCAPE]) for _ in range(rng.randrange(25)))
            damaged = bytearray(good)
            damaged[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
            asked = Frame(Kind.RUN, tag + 100, payload + b"x").encoded()
            noise = [garbage, good[: rng.randrange(len(good))], bytes(damaged), asked, b""][kind]
            line.write(noise + Frame(Kind.RUN, tag, payload).encoded())
            end = time.monotonic() + 5
            answered = False
            while not answered:
                assert time.monotonic() < end, f"no answer behind {noise.hex()}"
                for reply in decoder.feed(line.read(64)):
                    if reply.kind == Kind.ERROR | REPLY:
                        assert reply.payload[0] in set(Fault)
                        continue
                    logits = reply.payload[-identity.classes * identity.logit_bytes :]
                    assert np.frombuffer(logits, np.int8).tolist() == wanted
                    answered |= reply.tag == tag
    check(port, direct, 2)


def test_faults_are_answered_by_name(port: str) -> None:
    with serial.Serial(port, 115200, timeout=0.01) as line:
        decoder = FrameDecoder()
        crc = bytearray(Frame(Kind.IDENTIFY, 3).encoded())
        crc[-1] ^= 1
        for sent, fault in [
            (bytes(crc), Fault.CRC),
            (Frame(Kind.RUN, 3, b"abc").encoded(), Fault.LENGTH),
            (Frame(9, 3).encoded(), Fault.KIND),
        ]:
            line.write(sent)
            end = time.monotonic() + 5
            replies: list[Frame] = []
            while not replies and time.monotonic() < end:
                replies += decoder.feed(line.read(64))
            assert replies == [Frame(Kind.ERROR | REPLY, 3, bytes([fault]))]


def run_on(capsys: pytest.CaptureFixture[str], folder: Path, case: Case, *words: str) -> Called:
    save(case.network, folder / "network.safetensors")
    x = case.inputs(5, seed=2)
    numbers = x if case.network.input.encoding is None else x * SCALE + OFFSET
    np.savez(folder / "x.npz", x=numbers, y=run(case.network, x).classes)
    files = ["--input", folder / "x.npz", "--out", folder / "y.npz"]
    return call(capsys, "run", folder / "network.safetensors", *files, "--backend", "board", *words)


def test_the_command_line_runs_on_a_board(
    port: str, direct: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run_on(capsys, tmp_path, direct.case, "--port", port)
    assert done.status == 0, done.err
    assert "accuracy 100.00%" in done.out
    assert "equal to the reference" in done.out
    with np.load(tmp_path / "y.npz") as found:
        assert np.array_equal(found["logits"], run(direct.case.network, direct.case.inputs(5, seed=2)).logits)
        assert found["cycles"].shape == (5,)
    facts = json.loads(run_on(capsys, tmp_path, direct.case, "--port", port, "--json").out)
    assert facts["board"]["differences"] == 0
    assert facts["board"]["clock_hz"] == 1_000_000
    assert facts["accuracy"] == 1.0

    other = run_on(capsys, tmp_path, SPIKES, "--port", port)
    assert other.status == 1
    assert "holds another network" in other.err
    for words, sentence in [
        ([], "--backend board needs --port"),
        (["--port", "/dev/none"], "the port /dev/none cannot be opened"),
        (["--port", port, "--trace"], "--trace: a board gives logits and counts alone"),
    ]:
        refused = run_on(capsys, tmp_path, direct.case, *words)
        assert refused.status == 1
        assert sentence in refused.err
        assert refused.err.count("\n") <= 2


def test_a_board_that_computes_something_else_is_found_out(
    port: str, direct: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if its bitstream said the artifact's hash, and were of another network."""
    network = direct.case.network
    head = network.nodes[-1]
    (edge,) = head.inputs
    assert edge.weight is not None
    turned = replace(head, inputs=(replace(edge, weight=replace(edge.weight, values=-edge.weight.values)),))
    other = replace(direct.case, network=replace(network, nodes=(*network.nodes[:-1], turned), vectors=None))
    monkeypatch.setattr(Board, "check", lambda *_: None)
    done = run_on(capsys, tmp_path, other, "--port", port)
    assert done.status == 1
    assert "the board differs from the reference" in done.err
    assert "sample 0, layer 'head'" in done.err


def test_a_simulation_that_ends_is_noticed(direct: Made) -> None:
    with virtual_board(direct.design, optimize=False) as port:
        board = Board(port, timeout=5, tries=1)
    with board, pytest.raises(HostError):
        board.run(direct.case.network, direct.case.inputs(1))
