"""A binary model of 60 features by number of customers: seconds and memory to train and score.

Customers are made up from known probabilities: numbers, some of them skewed or missing, truth
values and texts. The panels and the population lie in Parquet files before anything is measured.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measured import measured, told_stage
from benchmarks.results import Results, Row, load, merged, this_machine, today, versions
from tagline.definitions.models import BinaryModel
from tagline.definitions.types import DataType

SEED = 1
PANELS = 3  # trained on, and one holdout
NUMBERS, TRUTHS, TEXTS = 48, 6, 6
HOLDOUT = datetime(2026, 1, 1, tzinfo=UTC)
HORIZON = timedelta(days=60)
TYPES = (
    {f"number_{each}": DataType.NUMBER for each in range(NUMBERS)}
    | {f"truth_{each}": DataType.BOOLEAN for each in range(TRUTHS)}
    | {f"text_{each}": DataType.TEXT for each in range(TEXTS)}
)
LOGISTIC = "logistic_regression"
KINDS = (LOGISTIC, "boosted_trees")
TABLE = "Seconds and memory by number of customers"


def models(sizes: Sequence[int], kinds: Sequence[str] = KINDS) -> Results:
    """Each size and candidate in processes of their own, saved one by one beside earlier rows."""
    found = load("models")
    for customers in sizes:
        with tempfile.TemporaryDirectory(prefix="tagline-models-") as folder:
            _child("make", customers, LOGISTIC, folder)
            for kind in kinds:
                trained = _child("train", customers, kind, folder)
                scored = _child("score", customers, kind, folder)
                row: Row = {"customers": customers, "candidates": kind} | trained | scored
                print(row, flush=True)
                found = _saved(found, row)
    assert found is not None
    return found


def _saved(before: Results | None, row: Row) -> Results:
    known = before.tables[TABLE] if before else ()
    rows = merged(known, row, ("customers", "candidates"))
    made = Results(
        name="models",
        title="Training and scoring",
        description=(
            f"A binary model of {len(TYPES)} features: {PANELS} panels to train on and the newest "
            "to judge by, with the choice among candidates, bootstrap intervals, slices, leaks and "
            "stability; then probability, class and reasons for each customer. A logistic "
            "regression is always trained, so a row of boosted trees holds both. Of panels above "
            "400,000 rows in all, and a holdout above 200,000, a sample is used. Memory is the "
            "whole process's, with the libraries."
        ),
        command="python -m benchmarks models",
        measured_on=today(),
        seed=SEED,
        sizes={"features": len(TYPES)},
        machine=this_machine(),
        versions=versions(),
        tables={TABLE: rows},
    )
    made.save()
    return made


def _child(step: str, customers: int, kind: str, folder: str) -> Row:
    words = (sys.executable, "-m", "benchmarks.models", step, str(customers), kind, folder)
    stages = measured(words).stages
    return {
        key: value
        for name, stage in stages.items()
        for key, value in (
            (f"{name} s", round(stage.seconds, 2)),
            (f"{name} peak MB", round(stage.peak_mb)),
        )
    }


def definition(kind: str) -> BinaryModel:
    """The model's file."""
    return BinaryModel.model_validate(
        {
            "name": {"en": "Benchmark", "zh": "基准"},
            "description": "Made up.",
            "owner": "tagline",
            "task": "binary",
            "population": "true",
            "label": "label",
            "horizon": HORIZON,
            "features": list(TYPES),
            "rule": {"tag": "number_0", "high_means": "positive"},
            "candidates": [kind],
            "panels": {"count": PANELS + 1, "every": HORIZON},
            "slices": ["text_0"],
            "gate": {"min_roc_auc": 0.6, "max_calibration_error": 0.05},
        }
    )


def customers_of(count: int, seed: int) -> pd.DataFrame:
    """Features as training reads them, and a label that follows from a few of them."""
    random = np.random.default_rng(seed)
    columns: dict[str, object] = {}
    odds = np.full(count, -1.5)
    for each in range(NUMBERS):
        values = random.normal(size=count)
        if each < 8:
            odds += values * 0.3
        if each % 2:
            values = np.exp(values)
            values[random.random(count) < 0.1] = np.nan
        columns[f"number_{each}"] = values
    for each in range(TRUTHS):
        truth = random.random(count) < 0.3
        odds += truth * 0.2
        columns[f"truth_{each}"] = np.where(truth, "true", "false").astype(object)
    for each in range(TEXTS):
        columns[f"text_{each}"] = random.choice([f"value {n}" for n in range(8)], count)
    columns["label"] = (random.random(count) < 1 / (1 + np.exp(-odds))).astype(float)
    return pd.DataFrame(columns)


def main() -> None:
    """One step of one size."""
    step, customers, kind, folder = sys.argv[1:]
    STEPS[step](int(customers), kind, Path(folder))


def _make(customers: int, _kind: str, folder: Path) -> None:
    for number in range(PANELS + 1):
        rows = customers_of(customers, SEED + number)
        rows.insert(0, "customer_id", [f"c{each:08d}" for each in range(customers)])
        pq.write_table(pa.Table.from_pandas(rows), folder / f"panel-{number}.parquet")


def _train(_customers: int, kind: str, folder: Path) -> None:
    import skops.io

    from tagline.training.contributions import Described
    from tagline.training.panels import MOST_JUDGED, MOST_TRAINED, Panel, thinned, typed_frame
    from tagline.training.verdict import assess

    def panel(number: int, most: int) -> Panel:
        table = pq.read_table(folder / f"panel-{number}.parquet")
        ids = np.array(table.column("customer_id").to_pylist(), dtype=object)
        label = table.column("label").to_numpy()
        as_of = HOLDOUT - number * HORIZON
        return thinned(Panel(as_of, ids, typed_frame(table, TYPES), label), most)

    spoken = {
        slug: Described(en=slug, zh=slug, type=type_.value, unit=None)
        for slug, type_ in TYPES.items()
    }
    with told_stage("train"):
        holdout = panel(0, MOST_JUDGED)
        trained = [panel(each + 1, MOST_TRAINED // PANELS) for each in range(PANELS)]
        outcome = assess(definition(kind), TYPES, trained, holdout, described=spoken)
    assert outcome.verdict.accepted, outcome.verdict.reasons
    fitted = next(one.fitted for one in outcome.tried if one.fitted.kind == kind)
    skops.io.dump(fitted.pipeline, folder / f"{kind}.skops")


def _score(_customers: int, kind: str, folder: Path) -> None:
    import skops.io

    from tagline.training.inputs import BATCH
    from tagline.training.kinds.binary import answers
    from tagline.training.panels import typed_frame

    file = folder / f"{kind}.skops"
    model = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))
    asked = definition(kind)
    with told_stage("score"), pq.ParquetFile(folder / "panel-0.parquet") as people:
        for batch in people.iter_batches(batch_size=BATCH):
            part = pa.Table.from_batches([batch])
            rows = typed_frame(part, TYPES)
            rows.insert(0, "customer_id", part.column("customer_id").to_pylist())
            assert answers(asked, model, rows)["probability"].between(0, 1).all()


STEPS: dict[str, Callable[[int, str, Path], None]] = {
    "make": _make,
    "train": _train,
    "score": _score,
}

if __name__ == "__main__":
    main()
