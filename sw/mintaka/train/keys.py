"""The keys of a recipe, as pydantic models: types, ranges and defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny

from mintaka.artifact import limits
from mintaka.compress import METHODS, Exit, Method
from mintaka.compress.registry import parse_method
from mintaka.snn.specs import parse_leak


def _leak(text: str) -> str:
    parse_leak(text)
    return text


def _run_name(text: str) -> str:
    """Also the name of an artifact and of a folder below runs/."""
    if not text.isprintable() or text != text.strip():
        raise ValueError("it must be printable characters without spaces around them")
    if text.startswith(".") or "/" in text or "\\" in text:
        raise ValueError("it is the name of a folder, too: it must not begin with a dot, nor hold / or \\")
    if len(text) > 64 or len(text.encode()) > 200:
        raise ValueError("it must be at most 64 characters and 200 bytes")
    return text


Leak = Annotated[str, AfterValidator(_leak)]
Reset = Literal["zero", "subtract"]
WeightBits = Annotated[int, AfterValidator(limits.WEIGHT_BITS.check)]
MembraneBits = Annotated[int, AfterValidator(limits.MEMBRANE_BITS.check)]
WeightScale = Literal["step", "mint"]
MembraneRule = Literal["shift", "mint"]
Refractory = Annotated[int, AfterValidator(limits.REFRACTORY.check)]
Extent = Annotated[int, AfterValidator(limits.KERNEL.check)]
Delay = Annotated[int, AfterValidator(limits.DELAY.check)]
Pair = Annotated[list[Extent], Field(min_length=2, max_length=2)]
Padding = Annotated[int, AfterValidator(limits.PADDING.check)]
PaddingPair = Annotated[list[Padding], Field(min_length=2, max_length=2)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class DenseEdge(_Part):
    """One thing that a layer reads: "input", or a layer's name.

    `shift` None: chosen when quantization starts. `op` None: the layer's own.
    """

    node: Name
    delay: Delay = 0
    shift: Annotated[int, AfterValidator(limits.SHIFT.check)] | None = None
    op: Literal["identity"] | None = None


class ConvEdge(DenseEdge):
    """`kernel` None: kernel, stride, padding and groups are the layer's own."""

    kernel: Extent | Pair | None = None
    stride: Extent | Pair | None = None
    padding: Padding | PaddingPair | None = None
    groups: Annotated[int, Field(ge=1)] | None = None


class JoinEdge(_Part):
    """One thing that a join reads."""

    node: Name
    delay: Delay = 0


def edge_tables(edges: Any) -> Any:
    """ "conv1" and ["conv1"] mean [{node = "conv1"}]."""
    edges = [edges] if isinstance(edges, str | dict) else edges
    return [{"node": e} if isinstance(e, str) else e for e in edges] if isinstance(edges, list) else edges


DenseEdges = Annotated[list[DenseEdge], Field(min_length=1, max_length=16), BeforeValidator(edge_tables)]
ConvEdges = Annotated[list[ConvEdge], Field(min_length=1, max_length=16), BeforeValidator(edge_tables)]
JoinEdges = Annotated[list[JoinEdge], Field(min_length=2, max_length=16), BeforeValidator(edge_tables)]


class _Synaptic(_Part):
    """What dense and conv2d layers share; None means as [network] says."""

    name: Name
    weight_bits: WeightBits | None = None
    membrane_bits: MembraneBits | None = None
    leak: Leak | None = None
    reset: Reset | None = None
    refractory: Refractory | None = None
    current_leak: Leak | None = None
    current_bits: MembraneBits | None = None
    weight_scale: WeightScale | None = None
    membrane_rule: MembraneRule | None = None
    read: Literal["accumulate", "count", "membrane"] | None = None  # of the head; None: "accumulate"
    input_shift: Annotated[int, AfterValidator(limits.INPUT_SHIFT.check)] | None = None  # None: from the first batch


class DenseRecipe(_Synaptic):
    op: Literal["dense"]
    reads: Annotated[DenseEdges | None, Field(alias="from")] = None  # None: the layer before
    units: Annotated[int, Field(ge=1)]


class ConvRecipe(_Synaptic):
    op: Literal["conv2d"]
    reads: Annotated[ConvEdges | None, Field(alias="from")] = None
    channels: Annotated[int, Field(ge=1)]
    kernel: Extent | Pair
    stride: Extent | Pair = 1
    padding: Padding | PaddingPair = 0
    groups: Annotated[int, Field(ge=1)] = 1


class PoolRecipe(_Part):
    name: Name
    op: Literal["pool2d"]
    reads: Annotated[Name | None, Field(alias="from")] = None
    kind: Literal["max", "sum"]
    kernel: Extent | Pair
    stride: Extent | Pair | None = None  # None: as the kernel


class JoinRecipe(_Part):
    name: Name
    op: Literal["join"]
    reads: Annotated[JoinEdges, Field(alias="from")]
    kind: Literal["or", "and", "iand", "add"]


LayerRecipe = Annotated[DenseRecipe | ConvRecipe | PoolRecipe | JoinRecipe, Field(discriminator="op")]
LAYERS: dict[str, type[BaseModel]] = {
    "dense": DenseRecipe,
    "conv2d": ConvRecipe,
    "pool2d": PoolRecipe,
    "join": JoinRecipe,
}
EDGES: dict[str, type[BaseModel]] = {"dense": DenseEdge, "conv2d": ConvEdge, "join": JoinEdge}


class NetworkRecipe(_Part):
    time_steps: Annotated[int, AfterValidator(limits.TIME_STEPS.check)]
    input: Literal["direct", "spikes", "counts"] = "direct"
    # Of the integers that the data's numbers are quantized to; None: they are integers, taken as they are.
    input_bits: Annotated[int, AfterValidator(limits.INPUT_BITS.check)] | None = None
    input_scale: Literal["channel", "tensor"] | None = None  # one scale per channel (None too), or one for all
    input_offset: Literal["zero", "min", "mean"] | None = None  # which number becomes 0; None: 0
    weight_bits: WeightBits = 4
    membrane_bits: MembraneBits = 4
    leak: Leak = "V>>1"
    reset: Reset = "zero"
    # Of the synaptic current (CUBA-LIF); None or "0": there is none. Bits None: as many as the membrane has.
    current_leak: Leak | None = None
    current_bits: MembraneBits | None = None
    refractory: Refractory | None = None  # None: 0
    weight_scale: WeightScale = "step"  # how the step of the weights is learned
    membrane_rule: MembraneRule = "shift"  # how the membrane is stored


class TrainRecipe(_Part):
    float_epochs: Annotated[int, Field(ge=0)]  # of the full-precision baseline, from which quantization starts
    epochs: Annotated[int, Field(ge=1)]  # quantization-aware
    batch: Annotated[int, Field(ge=2)] = 256
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 2e-3
    frozen_share: Annotated[float, Field(ge=0, le=1)] = 0.25  # last part of `epochs` with frozen BatchNorm statistics
    shift_pixels: Annotated[int, Field(ge=0, le=8)] = 0  # augmentation: images moved by up to so many pixels
    threads: Annotated[int, Field(ge=1, le=256)] = 1  # the same number gives the same bits
    # Share of the training data that epochs are judged by; None: the test data, and all training data are trained with.
    validation: Annotated[float, Field(gt=0, lt=1)] | None = None
    # Of each class in the loss; "balanced": as if all had the same number of samples.
    class_weights: Literal["balanced"] | list[Annotated[float, Field(gt=0, le=1e6)]] | None = None


EXIT = "exit"


def _compress_table(form: Any) -> Any:
    if isinstance(form, dict) and form.get("method") == EXIT:
        return Exit.model_validate(form)
    return form if isinstance(form, Exit) else parse_method(form)


class _CompressTables(Mapping[str, type[BaseModel]]):
    """What a table of [[compress]] can be: any method, or early exit."""

    def __getitem__(self, name: str) -> type[BaseModel]:
        return Exit if name == EXIT else METHODS[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*METHODS, EXIT])

    def __len__(self) -> int:
        return len(METHODS) + 1


CompressTable = SerializeAsAny[Annotated[Method | Exit, BeforeValidator(_compress_table)]]


class Recipe(_Part):
    name: Annotated[str, Field(min_length=1), AfterValidator(_run_name)]
    dataset: Annotated[str, Field(min_length=1)]
    labels: Literal["map", "keep"] | None = None  # classes that are not 0, 1, ...; None: refused
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    network: NetworkRecipe
    train: TrainRecipe
    compress: list[CompressTable] | None = None  # in their order; None: nothing
    layers: Annotated[list[LayerRecipe], Field(min_length=1)]

    @property
    def methods(self) -> list[Method]:
        """The methods of [[compress]], in their order."""
        return [table for table in self.compress or [] if isinstance(table, Method)]

    @property
    def early_exit(self) -> Exit | None:
        """The table of [[compress]] that asks for early exit."""
        return next((table for table in self.compress or [] if isinstance(table, Exit)), None)


SECTIONS: dict[str, type[BaseModel]] = {"network": NetworkRecipe, "train": TrainRecipe}
BLOCKS: dict[str, tuple[str, Mapping[str, type[BaseModel]]]] = {
    "compress": ("method", _CompressTables()),
    "layers": ("op", LAYERS),
}
"""Lists of tables: the key that says which model a table is, and the models."""
