"""The data sets on which the methods are compared, and how long is trained on each."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Data:
    """One data set's side of the comparison.

    recipe : file of the baseline. float_epochs, epochs : of the baseline. search, tune : epochs of a method.
    half : of the hidden neurons. budget : memory bits for mixed precision.
    lanes : of the stated plan, by layer (a layer with fewer neurons has one for each).
    samples : of the test split through the Verilog.
    """

    name: str
    title: str
    recipe: str
    float_epochs: int
    epochs: int
    search: int
    tune: int
    half: int
    budget: int
    lanes: dict[str, int]
    samples: int

    @property
    def words(self) -> dict[str, int]:
        """What stands for the $-words of an entry."""
        both = self.search + self.tune
        return {
            "search": self.search,
            "tune": self.tune,
            "both": both,
            "fresh": self.float_epochs + both,
            "half": self.half,
            "budget": self.budget,
            "lanes": self.lanes["hidden"],
        }


DATA = {
    data.name: data
    for data in (
        Data(
            name="digits",
            title="Digits, 64-128-10",
            recipe="digits.toml",
            float_epochs=30,
            epochs=40,
            search=15,
            tune=10,
            half=64,
            budget=24_000,
            lanes={"hidden": 32, "output": 2},
            samples=50,
        ),
        Data(
            name="mnist",
            title="MNIST, 784-128-10",
            recipe="mnist-dense.toml",
            float_epochs=15,
            epochs=15,
            search=6,
            tune=6,
            half=64,
            budget=250_000,
            lanes={"hidden": 32, "output": 2},
            samples=50,
        ),
        Data(
            name="watch",
            title="IMU gestures, 12-64-7, recurrent",
            recipe="watch-recurrent.toml",
            float_epochs=15,
            epochs=20,
            search=8,
            tune=8,
            half=32,
            budget=13_000,
            lanes={"hidden": 16, "output": 2},
            samples=20,
        ),
    )
}


def quick(data: Data) -> Data:
    """The same with a few epochs, lanes and samples: to see that it works."""
    return replace(data, float_epochs=2, epochs=2, search=1, tune=1, lanes={"hidden": 4, "output": 1}, samples=4)
