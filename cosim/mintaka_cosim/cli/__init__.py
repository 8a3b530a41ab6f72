"""The command line. `main` is the entry point; each command is a thin layer over a public function."""

from mintaka_cosim.cli.app import app, main

__all__ = ["app", "main"]
