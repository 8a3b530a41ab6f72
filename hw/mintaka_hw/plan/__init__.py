"""The plan: how many lanes each layer gets, and every width and memory that follows from the artifact."""

from mintaka_hw.plan.datapath import Datapath
from mintaka_hw.plan.edge import EdgePlan
from mintaka_hw.plan.events import EventList, WordChunks
from mintaka_hw.plan.folding import Folding
from mintaka_hw.plan.join import JoinPlan
from mintaka_hw.plan.layer import LayerPlan
from mintaka_hw.plan.link import Link
from mintaka_hw.plan.listing import StageListing, listing
from mintaka_hw.plan.margins import packed_margins
from mintaka_hw.plan.memory import MemoryPlan
from mintaka_hw.plan.network import Lanes, Sparse, make_plan
from mintaka_hw.plan.plan import Plan, PlanError
from mintaka_hw.plan.pool import PoolPlan
from mintaka_hw.plan.schedule import Schedule
from mintaka_hw.plan.sparse import SparseRows
from mintaka_hw.plan.stream import StreamLayout
from mintaka_hw.plan.weights import WeightMemory
from mintaka_hw.plan.window import WindowPlan

__all__ = [
    "Datapath",
    "EdgePlan",
    "EventList",
    "Folding",
    "JoinPlan",
    "Lanes",
    "LayerPlan",
    "Link",
    "MemoryPlan",
    "Plan",
    "PlanError",
    "PoolPlan",
    "Schedule",
    "Sparse",
    "SparseRows",
    "StageListing",
    "StreamLayout",
    "WeightMemory",
    "WindowPlan",
    "WordChunks",
    "listing",
    "make_plan",
    "packed_margins",
]
