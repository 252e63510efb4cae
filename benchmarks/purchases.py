"""The purchase process by number of customers: seconds and memory to fit, to answer and to judge.

Customers are simulated from the model itself with the parameters of CDNOW, so that the fit can be
told from the truth; they buy on whole days over two years, some on hundreds of days.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.measured import measured, told_stage
from benchmarks.results import Results, Row, this_machine, today, versions

if TYPE_CHECKING:
    from tagline.training.purchase_forecast import Forecast

SEED = 1
DAYS = 730
HORIZON = 60
TRUTH = {"r": 0.243, "alpha": 30.9, "a": 0.793, "b": 2.426}  # CDNOW's, in days
FREQUENT = 0.1  # of the customers: a grocer's, with up to hundreds of purchases
Array = np.ndarray[Any, np.dtype[np.float64]]


def purchases(sizes: Sequence[int]) -> Results:
    """Each size in a process of its own."""
    rows: list[Row] = []
    for customers in sizes:
        ran = measured([sys.executable, "-m", "benchmarks.purchases", str(customers)])
        said = json.loads(ran.stdout.splitlines()[-1])
        stages = ran.stages
        rows.append(
            {
                "customers": customers,
                "histories": said["histories"],
                "greatest frequency": said["greatest frequency"],
                "fit s": round(stages["fit"].seconds, 2),
                "answer s": round(stages["answer"].seconds, 2),
                "judge s": round(stages["judge"].seconds, 2),
                "peak MB": round(max(stage.peak_mb for stage in stages.values())),
            }
        )
        print(f"{customers:,} customers: {rows[-1]}", flush=True)
    made = Results(
        name="purchases",
        title="The purchase process",
        description=(
            "BG/NBD and Gamma-Gamma fitted to simulated customers, then the answers for each, then "
            "the measures with bootstrap intervals. The memory is the whole process's, with the "
            "libraries and the simulated rows."
        ),
        command="python -m benchmarks purchases",
        measured_on=today(),
        seed=SEED,
        sizes={"customers": max(sizes)},
        machine=this_machine(),
        versions=versions(),
        tables={"Seconds and memory by number of customers": tuple(rows)},
    )
    made.save()
    return made


def simulated(customers: int) -> Array:
    """frequency, recency, age in days and the mean amount of a purchase day."""
    random = np.random.default_rng(SEED)
    age = random.integers(1, DAYS, customers).astype(float)
    often = random.random(customers) < FREQUENT
    rate = np.where(
        often,
        random.gamma(1.4, 1 / 9.5, customers),
        random.gamma(TRUTH["r"], 1 / TRUTH["alpha"], customers),
    )
    leaves = np.where(
        often, random.beta(0.05, 30, customers), random.beta(TRUTH["a"], TRUTH["b"], customers)
    )
    frequency, recency = np.zeros(customers), np.zeros(customers)
    now = np.zeros(customers)
    alive = np.arange(customers)
    while len(alive):
        with np.errstate(divide="ignore", over="ignore"):
            now[alive] += random.exponential(1, len(alive)) / rate[alive]
        alive = alive[now[alive] < age[alive]]
        day = np.floor(now[alive])
        new = alive[day > recency[alive]]
        frequency[new] += 1
        recency[new] = np.floor(now[new])
        alive = alive[random.random(len(alive)) >= leaves[alive]]
    mean = 60 / random.gamma(4, 1, customers)
    seen = mean * random.gamma(2 * (frequency + 1)) / (2 * (frequency + 1))
    return np.column_stack([frequency, recency, age, seen])


def _forecast(rows: Array, told: pd.DataFrame) -> Forecast:
    """What was told of each customer, beside purchases that come as was told."""
    from tagline.training.purchase_forecast import PAST_RATE, Forecast

    frequency, recency, age = rows.T[:3]
    expected = told["expected_purchases"].to_numpy()
    bought = np.random.default_rng(SEED).poisson(expected).astype(float)
    return Forecast(
        actual=bought,
        expected=expected,
        buys=told["purchase_probability"].to_numpy(),
        alive=told["probability_alive"].to_numpy(),
        recency=age - recency,
        rules={PAST_RATE: frequency / age * HORIZON},
        amount=bought * rows[:, 3],
        expected_amount=told["expected_value"].to_numpy(),
    )


def main() -> None:
    """One size: says on stderr when a stage begins and ends, and on stdout what came of it."""
    from tagline.training.estimators.customer_value import CustomerValue
    from tagline.training.purchase_forecast import measure

    rows = simulated(int(sys.argv[1]))
    with told_stage("fit"):
        fitted = CustomerValue(horizon=HORIZON).fit(rows)
    with told_stage("answer"):
        told = fitted.predict(rows)
    assert told.notna().all(axis=None)
    with told_stage("judge"):
        metrics = measure(_forecast(rows, told))
    process = fitted.process_
    said = {
        "histories": process.histories_,
        "greatest frequency": int(rows[:, 0].max()),
        "mean absolute error": metrics["mae"].value,
        "parameters": [process.r_, process.alpha_, process.a_, process.b_],
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
