"""The plan: how many lanes each layer gets, and every width and memory that follows from the artifact."""

from mintaka_hw.plan.layer import LayerPlan, MemoryPlan
from mintaka_hw.plan.network import Lanes, Plan, PlanError, make_plan

__all__ = ["Lanes", "LayerPlan", "MemoryPlan", "Plan", "PlanError", "make_plan"]
