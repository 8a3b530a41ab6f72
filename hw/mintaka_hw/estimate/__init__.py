"""What a plan costs before anything is built: cycles, exactly."""

from mintaka_hw.estimate.cycles import CyclePrediction, predict_cycles

__all__ = ["CyclePrediction", "predict_cycles"]
