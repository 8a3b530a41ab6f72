"""The driver and the C header beside a design: samples as the contract encodes and the page packs them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade import dense_network, signed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import networks, numbers_for

from mintaka.artifact import Encoding, Network, Quantizer, check, encode
from mintaka_hw.host.packets import packet_layout
from mintaka_hw.host.render import c_header, driver_design, python_driver
from mintaka_hw.plan import Plan, PlanError, make_plan


def driver_of(plan: Plan) -> Any:
    """The generated driver, of a bus that gives what identifies the design."""
    text = python_driver(plan, "top")
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(compile(text, "top_driver.py", "exec", dont_inherit=True), namespace)
    registers = driver_design(plan)["registers"]
    facts = driver_design(plan)
    known = {
        "id": facts["id"],
        "version": facts["map_version"] << registers["version"]["fields"]["map"][0],
        "hash_low": facts["hash"] & 0xFFFFFFFF,
        "hash_high": facts["hash"] >> 32,
        "steps": facts["time_steps"],
    }
    by_offset = {registers[name]["offset"]: value for name, value in known.items()}
    return namespace["Driver"](by_offset.__getitem__, by_offset.__setitem__, lambda packet, _: packet)


def unpacked(plan: Plan, packet: bytes) -> np.ndarray:
    """The elements in a packet, bit by bit as docs/reference/host.md says."""
    source, layout = plan.network.input, packet_layout(plan)
    frames = [packet[at : at + layout.frame_bytes] for at in range(0, len(packet), layout.frame_bytes)]
    found = []
    for frame in frames:
        elements = []
        for word in range(layout.frame_words):
            raw = frame[word * layout.word_bytes : (word + 1) * layout.word_bytes]
            value = int.from_bytes(raw, "little")
            for e in range(plan.input.word_elements):
                bits = value >> (e * source.bits) & (2**source.bits - 1)
                elements.append(bits - 2**source.bits if bits > source.high else bits)
        shape = source.shape
        size = int(np.prod(shape))
        if plan.input_order == "hwc":
            found.append(np.moveaxis(np.reshape(elements[:size], (*shape[1:], shape[0])), -1, 0))
        else:
            found.append(np.reshape(elements[:size], shape))
    return np.array(found if not source.static else found[0])


@given(network=networks(features=("signed", "encoding"), max_hidden=1), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, suppress_health_check=[HealthCheck.filter_too_much])
def test_samples_are_encoded_and_packed(network: Network, seed: int) -> None:
    """By the text of the driver alone, which imports nothing but numpy and the standard library."""
    try:
        plan = make_plan(network, 1)
    except PlanError:
        return
    assert "mintaka." not in python_driver(plan, "top").replace("mintaka_0", "").replace("Mintaka", "")
    driver = driver_of(plan)
    for x in numbers_for(network, 2, seed):
        q = driver.encode(x)
        assert q.tolist() == encode(network, x[None])[0].tolist()
        assert unpacked(plan, driver.pack(q)).tolist() == q.tolist()


REAL = replace(
    signed(dense_network((3, 2), kind="direct", bits=4)).input,
    encoding=Encoding("none", None, Quantizer((0.5, 0.1, 1 / 3), (0.0, -1.0, 1e-3))),
)


def real() -> Network:
    network = replace(signed(dense_network((3, 2), kind="direct", bits=4)), input=REAL)
    check(network)
    return network


def test_what_the_driver_refuses() -> None:
    driver = driver_of(make_plan(real()))
    module = type(driver).run.__globals__
    for x, reason in (
        ([0.0, 1.0], r"the samples must have the shape \(N, 3\), got \(1, 2\)"),
        ([0.0, 1.0, np.nan], "sample 0 holds nan; numbers must be finite"),
    ):
        with pytest.raises(module["DriverError"], match=reason):
            driver.encode(x)
    with pytest.raises(module["DriverError"], match="holds values from -9 to 0; -8 to 7 are possible"):
        driver.pack(np.array([0, -9, 0]))
    spikes = driver_of(make_plan(dense_network((3, 2))))
    with pytest.raises(
        RuntimeError, match="the design takes spikes with their steps, and its artifact does not say how"
    ):
        spikes.encode([1, 2, 3])


def test_fewer_steps_make_a_shorter_thermometer() -> None:
    network = dense_network((2, 3), time_steps=4)
    network = replace(network, input=replace(network.input, encoding=Encoding("thermometer", 16)))
    driver = driver_of(make_plan(network, run_time=True))
    assert driver.encode([5, 15]).sum(0).tolist() == [1, 4]
    driver.steps = 2
    assert driver.encode([5, 15]).tolist() == [[0, 1], [0, 1]]
    assert driver.encode([6, 15]).tolist() == encode(replace(network, time_steps=2), [[6, 15]])[0].tolist()


C_TEST = """
#include <math.h>
#include <stdio.h>
#include "top_regs.h"
int main(void) {
  static const double scales[] = TOP_INPUT_SCALES, offsets[] = TOP_INPUT_OFFSETS;
  double x;
  for (int i = 0; scanf("%lf", &x) == 1; i = (i + 1) % 3) {
    const double high = ldexp(1, TOP_INPUT_BITS - TOP_INPUT_SIGNED) - 1, low = TOP_INPUT_SIGNED ? -high - 1 : 0;
    printf("%d\\n", (int)fmax(low, fmin(high, rint((x - offsets[i]) / scales[i]))));
  }
  return 0;
}
"""


def test_the_header_is_enough_for_a_program_in_c(tmp_path: Path) -> None:
    """It encodes like everybody else: halfway cases, beyond the range, scales that no decimal fraction says."""
    network = real()
    (tmp_path / "top_regs.h").write_text(c_header(make_plan(network), "top"))
    (tmp_path / "test.c").write_text(C_TEST)
    command = ["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-o", tmp_path / "test", tmp_path / "test.c", "-lm"]
    subprocess.run(command, check=True)
    x = np.concatenate([numbers_for(network, 40, seed) for seed in range(3)])
    given = " ".join(repr(v) for v in x.ravel().tolist())
    done = subprocess.run([tmp_path / "test"], input=given, capture_output=True, text=True, check=True)
    assert list(map(int, done.stdout.split())) == encode(network, x).ravel().tolist()


def test_the_header_of_a_thermometer() -> None:
    network = dense_network((2, 3))
    network = replace(network, input=replace(network.input, encoding=Encoding("thermometer", 16)))
    text = c_header(make_plan(network), "top")
    assert "#define TOP_INPUT_LEVELS 16U\n" in text
    assert "by the code 'thermometer' */" in text
    assert "_INPUT_LEVELS" not in c_header(make_plan(dense_network((2, 3))), "top")
