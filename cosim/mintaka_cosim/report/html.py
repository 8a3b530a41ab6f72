"""A report as one HTML file without any external resource."""

from __future__ import annotations

from typing import Any

import jinja2

from mintaka_cosim.report.chart import Series, line_chart
from mintaka_cosim.report.model import KINDS, Report
from mintaka_cosim.summary import flat


def render_html(report: Report) -> str:
    """The whole page."""
    accuracy, loss = curves(report.history)
    return template("page.html.j2").render(
        r=report, kinds=KINDS, accuracy_svg=accuracy, loss_svg=loss, provenance=flat(report.provenance)
    )


def template(name: str) -> jinja2.Template:
    """One of the templates here, with the look that all reports share."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mintaka_cosim.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = _number
    return environment.get_template(name)


def curves(history: tuple[dict[str, Any], ...]) -> tuple[str, str]:
    """Accuracy and loss over all epochs as SVG (empty where the history has none); the quantized phase is marked."""
    epochs = list(range(1, len(history) + 1))
    phases = [row.get("phase") for row in history]
    marks = {phases.index("qat") + 1: "integer network from here"} if "qat" in phases[1:] else None

    def series(*wanted: tuple[str, str, str]) -> list[Series]:
        return [
            Series(name, style, [float(row[key]) for row in history])
            for key, name, style in wanted
            if all(isinstance(row.get(key), int | float) for row in history)
        ]

    judged = ("test_accuracy", "test", "second"), ("validation_accuracy", "validation", "second")
    accuracy = series(("train_accuracy", "training", "first"), *judged)
    loss = series(("loss", "training", "first"))
    return (
        line_chart(epochs, accuracy, x_label="epoch", percent=True, marks=marks),
        line_chart(epochs, loss, x_label="epoch", percent=False, marks=marks),
    )


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
