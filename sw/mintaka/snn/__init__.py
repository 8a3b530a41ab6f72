"""Spiking networks in torch: quantized training layers and the fast integer engine."""

from mintaka.snn.fast import run_fast

__all__ = ["run_fast"]
