"""The proofs that take seconds, each with its broken variants; `make formal` runs all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from amaranth.hdl import Assert, Module
from formal.kit import Inside, mutated, property_module, rtlil_of
from formal.prove import Proof
from formal.run import holds, proofs

from mintaka_hw.rtl.link import Fork, Queue

PROOFS = {proof.name: proof for proof in proofs()}
FAST = [
    "lif-zero-above",
    "lif-cuba-refractory",
    "fork-2",
    "delayed-queue-3-1-2",
    "gate",
    "walker-dense",
    "valid-gate",
    "axi-lite",
    "packet-reader",
]


@pytest.mark.parametrize("name", FAST)
def test_fast_proof(name: str, tmp_path: Path) -> None:
    good, line = holds(PROOFS[name], tmp_path)
    assert good, line


def test_each_proof_has_a_name_and_a_broken_variant() -> None:
    assert len(PROOFS) == len(proofs())
    assert all(proof.broken for proof in proofs())


def always(_: object, value: int) -> Module:
    m = property_module()
    m.d.comb += Assert(value)
    return m


def test_what_is_false_or_cannot_be_broken_is_reported(tmp_path: Path) -> None:
    false = Proof("false", "0", lambda kind: always(kind, 0), None, {}, depth=2)
    assert false.run(tmp_path / "false").status == "FAIL"
    assert not holds(false, tmp_path)[0]
    good, line = holds(Proof("true", "1", lambda kind: always(kind, 1), None, {"nothing": None}, depth=2), tmp_path)
    assert not good
    assert "PASS" in line
    assert "not refuted where nothing" in line


def test_what_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="Fork has 0 places 'no such text', not 1"):
        mutated(Fork, "no such text", "")
    m = property_module()
    with pytest.raises(LookupError, match="fifo has 0 values named 'nothing', not 1"):
        Inside(m, Queue(1, 2)).value("nothing", "fifo")
    assert rtlil_of(m)
