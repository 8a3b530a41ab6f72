"""The picture: every node, every edge, nothing outside, and numbers that are the plan's and the cycle model's."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from cosim.small import CASES, DIRECT, call
from handmade import dense_network, graph_network
from hypothesis import given, settings
from strategies import FEATURES, networks

from mintaka.artifact import Network, Output, TestVectors, run, save
from mintaka_cosim.picture import draw, gather
from mintaka_cosim.picture.arcs import arcs, straight
from mintaka_cosim.picture.svg import shortened, text_width
from mintaka_hw.estimate import predict_cycles
from mintaka_hw.plan import Plan, PlanError, listing, make_plan

SVG = "{http://www.w3.org/2000/svg}"
Element = ElementTree.Element


def picture(network: Network, plan: Plan | None, problem: str | None = None) -> Element:
    return ElementTree.fromstring(draw(gather(network, plan, problem)))


def texts(root: Element) -> list[str]:
    """What each text says: the whole of it, where only the beginning is shown."""
    return [(e.findtext(f"{SVG}title") or e.text or "") for e in root.iter(f"{SVG}text")]


def number(element: Element, name: str) -> float:
    return float(element.attrib[name])


def check_inside(root: Element) -> None:
    """No text and no box leaves the picture, and no text leaves the box that it begins (or ends) in."""
    width, height = number(root, "width"), number(root, "height")
    cards = []
    for box in root.iter(f"{SVG}rect"):
        x, y = float(box.get("x", "0")), float(box.get("y", "0"))
        assert 0 <= x <= x + number(box, "width") <= width + 1e-6
        assert 0 <= y <= y + number(box, "height") <= height + 1e-6
        if "card" in box.attrib["class"]:
            cards.append((x, y, x + number(box, "width"), y + number(box, "height")))
    for text in root.iter(f"{SVG}text"):
        long = text_width(text.text or "", number(text, "font-size"), bold="font-weight" in text.attrib)
        begin = number(text, "x") - (long if text.get("text-anchor") == "end" else 0)
        y = number(text, "y")
        assert -1e-6 <= begin <= begin + long <= width + 1e-6, text.text
        assert 0 < y < height
        anchor = number(text, "x")
        for left, top, right, bottom in cards:
            if left <= anchor <= right and top <= y <= bottom:
                assert left <= begin <= begin + long <= right, text.text
                assert y <= bottom - 4, text.text


@pytest.mark.parametrize("name", CASES)
def test_every_node_memory_and_edge_is_there(name: str) -> None:
    case = CASES[name]
    plan = make_plan(case.network, case.lanes)
    root = picture(case.network, plan)
    check_inside(root)
    said = texts(root)
    for node in case.network.nodes:
        assert node.name in said
    for stage in listing(plan):
        assert f"{stage.memory_bits:,} bits" in said
        for memory in stage.memories:
            assert any(f"{memory.name.replace('_', ' ')} {memory.depth:,}×{memory.width:,}" in line for line in said)
    edges = [path for path in root.iter(f"{SVG}path") if "marker-end" in path.attrib]
    assert len(edges) == sum(len(node.inputs) for node in case.network.nodes)
    late = [path for path in edges if "stroke-dasharray" in path.attrib]
    assert len(late) == sum(edge.delay for node in case.network.nodes for edge in node.inputs)


def test_the_graphs_edges_say_what_they_do() -> None:
    said = texts(picture(graph_network(), make_plan(graph_network())))
    assert said.count("step before") == 3
    assert "1×1, << 1" in said
    assert "<< 2" in said


@settings(max_examples=30)
@given(network=networks(features=FEATURES))
def test_any_network_can_be_drawn(network: Network) -> None:
    """Those that cannot be built are drawn without hardware, and with the reason."""
    try:
        plan, problem = make_plan(network), None
    except PlanError as error:
        plan, problem = None, str(error)
    if plan is not None:
        assert sum(stage.memory_bits for stage in listing(plan)) == plan.memory_bits
    root = picture(network, plan, problem)
    check_inside(root)
    said = texts(root)
    assert all(node.name in said for node in network.nodes)
    assert problem is None or any(problem in line for line in said)
    facts = gather(network, plan, problem)
    found = arcs(facts.edges)
    assert len(found) + len(straight(facts.edges)) == len(facts.edges)
    for one in found:
        for other in found:
            if one is not other and one.track == other.track:
                spans = [sorted((arc.edge.source, arc.edge.target)) for arc in (one, other)]
                assert spans[0][1] < spans[1][0] or spans[1][1] < spans[0][0]


def test_cycles_are_the_models_and_say_where_they_come_from() -> None:
    network, x = DIRECT.network, DIRECT.inputs(3)
    plan = make_plan(network, DIRECT.lanes)
    assert any(line.startswith("estimated: random, 10% of input bits set") for line in texts(picture(network, plan)))
    network = replace(network, vectors=TestVectors(x, run(network, x).logits))
    plan = make_plan(network, DIRECT.lanes)
    found = predict_cycles(plan, x)
    said = texts(picture(network, plan))
    assert "predicted for 3 test vectors of the artifact" in said
    assert f"Cycles: {found.interval:,.1f} per sample" in said
    for name, busy in found.busy.items():
        assert f"{busy.mean():,.1f} busy, {found.utilisation(name):.1%} with events" in said
    assert said.count("the slowest layer") == 1
    slowest = max(found.busy, key=lambda name: found.busy[name].mean())
    marked = [t.text for t in picture(network, plan).iter(f"{SVG}text") if t.get("class") == "mark"]
    assert marked[0] is not None
    assert marked[0].startswith(f"{found.busy[slowest].mean():,.1f} busy")


def test_cycles_of_networks_beyond_the_model_are_not_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mintaka_cosim.picture.facts.MAX_PREDICTED", 1)
    said = " ".join(texts(picture(DIRECT.network, make_plan(DIRECT.network, DIRECT.lanes))))
    assert "cycles are not predicted, as there are too many connections" in said
    assert "Cycles:" not in said


def test_long_names_do_not_overflow() -> None:
    network = dense_network([4, 3, 2])
    hidden, head = network.nodes
    long = "w" * 32
    nodes = (replace(hidden, name=long), replace(head, inputs=(replace(head.inputs[0], node=long),)))
    named = replace(network, name="M" * 100, nodes=nodes, output=Output("head"))
    root = picture(named, make_plan(named))
    check_inside(root)
    assert long in texts(root)
    assert "M" * 100 in texts(root)


def test_texts_are_cut_where_they_must_be() -> None:
    assert shortened("short", 10, 100) == "short"
    cut = shortened("a long text that has no room", 10, 60)
    assert cut.endswith("…")
    assert text_width(cut, 10) <= 60


def test_names_are_escaped() -> None:
    network = replace(dense_network([4, 3, 2]), name='<b>&"x"')
    assert '<b>&"x"' in texts(picture(network, make_plan(network)))


def test_dark_viewers_get_dark_colours() -> None:
    text = draw(gather(DIRECT.network, None, "x"))
    assert "@media (prefers-color-scheme: dark)" in text
    assert not re.search(r'(href|src|url)="?\(?http', text)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    save(DIRECT.network, tmp_path / "network.safetensors")
    out = tmp_path / "new" / "x.svg"
    done = call(capsys, "show", tmp_path / "network.safetensors", "--graph", out, "--lanes", "4")
    assert done.status == 0
    assert "x.svg" in done.out
    first = out.read_text()
    assert ElementTree.fromstring(first).tag == f"{SVG}svg"
    done = call(capsys, "show", tmp_path / "network.safetensors", "--graph", out, "--lanes", "4", "--json")
    assert json.loads(done.out)["graph"] == str(out)
    assert out.read_text() == first


def test_plan_lists_every_memory(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    network = graph_network()
    save(network, tmp_path / "network.safetensors")
    done = call(capsys, "show", tmp_path / "network.safetensors", "--plan")
    assert done.status == 0
    plan = make_plan(network)
    rows = [" ".join(line.split()) for line in done.out.splitlines()]
    for stage in listing(plan):
        for memory in stage.memories:
            assert f"{stage.name} {memory.name} {memory.depth:,} {memory.width:,} {memory.bits:,}" in rows
    assert f"all stages {plan.memory_bits:,}" in rows
    facts = json.loads(call(capsys, "show", tmp_path / "network.safetensors", "--json").out)["hardware"]
    assert facts["stages"] == [stage.to_json() for stage in listing(plan)]
    assert np.sum([m["bits"] for s in facts["stages"] for m in s["memories"]]) == facts["memory_bits"]
