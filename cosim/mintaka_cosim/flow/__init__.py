"""From a recipe to figures, in plain functions that take what the one before gives: fit, export, evaluate, plan,
predict, verify, synthesize, and `design_point` that gathers their figures. Commands, reports and measurements call
these.

Nothing here prints, and nothing needs torch before it trains or evaluates.
"""

from mintaka_cosim.flow.errors import FlowError
from mintaka_cosim.flow.evaluation import Evaluation, evaluate
from mintaka_cosim.flow.hardware import Prediction, Synthesis, predict, synthesize
from mintaka_cosim.flow.point import DesignPoint, design_point
from mintaka_cosim.flow.training import Fitted, export, fit
from mintaka_cosim.flow.verification import CANONICAL, Check, Verification, verify
from mintaka_hw.plan import make_plan as plan

__all__ = [
    "CANONICAL",
    "Check",
    "DesignPoint",
    "Evaluation",
    "Fitted",
    "FlowError",
    "Prediction",
    "Synthesis",
    "Verification",
    "design_point",
    "evaluate",
    "export",
    "fit",
    "plan",
    "predict",
    "synthesize",
    "verify",
]
