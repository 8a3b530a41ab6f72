"""All commands by name. Heavy imports happen inside the commands, so that `mintaka --help` is quick."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from mintaka.errors import user_sentence
from mintaka_cosim.cli import build, cosim, data, demo, doctor, generate, report, run, show, synth, train
from mintaka_cosim.cli.support import command
from mintaka_cosim.program import INTERRUPTED, begin, warn


class Group(TyperGroup):
    """Turns users' errors into one sentence and exit status 1, and Ctrl-C into 130."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            warn("interrupted: what was being written is as it was before")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # whoever reads, `head` for one, has enough; click ends the program silently
            raise
        except Exception as error:
            sentence = user_sentence(error)
            if sentence is None:
                raise
            warn(sentence)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="mintaka",
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"mintaka {version('mintaka')}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Spiking neural networks, from training to bit-exact Verilog.

    The way of a network: [b]train[/b] a recipe, [b]export[/b] the artifact, [b]show[/b] and [b]run[/b] it,
    [b]generate[/b] Verilog, [b]cosim[/b] it against the reference, [b]synth[/b]esize it, [b]report[/b]. [b]demo[/b]
    does all but synthesis.
    """


command(app, "demo")(demo.demo)
command(app, "doctor")(doctor.doctor)
app.add_typer(data.app, name="data")
command(app, "train")(train.train)
command(app, "export")(train.export)
command(app, "show")(show.show)
command(app, "run")(run.run)
command(app, "generate")(generate.generate)
command(app, "cosim")(cosim.cosim)
command(app, "synth")(synth.synth)
command(app, "build")(build.build)
command(app, "report")(report.report)


def main() -> None:
    """Entry point of the program `mintaka`."""
    begin()
    app()
