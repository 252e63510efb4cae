"""The steps of a day, as task groups and tasks to be chained in a DAG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, TaskGroup, task_group

from tagline.settings import Settings
from tagline_airflow.operators import CoreOperator, ModelOperator, ReleaseOperator, StartOperator

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline_airflow.calendar import BusinessCalendar

AS_OF = Param(
    None,
    type=["null", "string"],
    format="date",
    title="as_of",
    description="Midnight at the start of this day; without it the end of the run's interval.",
)


def step(name: str, calls: str, **options: Any) -> CoreOperator:
    """One task that calls `module:function(deployment, run_id, as_of, at)` and logs its report."""
    return CoreOperator(task_id=name, calls=calls, **options)


def extract() -> TaskGroup:
    """Start the run and bring every source table up to its as_of, a mapped task per table."""
    return _per_table("extract", StartOperator, "source_tables", "tagline.extract:extract")


def clean() -> TaskGroup:
    """See that there is data for the day, then clean each canonical table in a mapped task."""
    return _per_table("clean", CoreOperator, "canonical_tables", "tagline.clean:clean")


def _per_table(name: str, plan: type[CoreOperator], lists: str, calls: str) -> TaskGroup:
    with TaskGroup(name) as group:
        tables = plan(task_id="plan", calls=f"{__name__}:{lists}")
        CoreOperator.partial(
            task_id="table", calls=calls, map_index_template="{{ task.table }}"
        ).expand(table=tables.output)
    return group


def compute() -> CoreOperator | TaskGroup:
    """Work out the tags: in one task, or with several customer buckets a mapped task for each."""
    if Settings().customer_buckets == 1:
        return step("compute", "tagline.compute:compute")
    with TaskGroup("compute") as group:
        buckets = step("plan", "tagline.buckets:plan_buckets")
        computed = CoreOperator.partial(
            task_id="bucket",
            calls="tagline.buckets:compute_bucket",
            map_index_template="bucket {{ task.bucket }}",
        ).expand(bucket=buckets.output)
        computed >> step("join", "tagline.buckets:join_buckets")
    return group


def resolve(calendar: BusinessCalendar) -> list[CoreOperator]:
    """Work out which keys are one customer, where rules of the business say so; else no task."""
    return [step("resolve", "tagline.identity.resolve:resolve")] if calendar.resolves else []


def release() -> ReleaseOperator:
    """Release what the gate has passed; emits the asset tagline://release."""
    return ReleaseOperator(task_id="release")


def one_after_the_other(dag: DAG) -> None:
    """Let a day begin only when the one before is released, skipped or held.

    Airflow has no such order for a backfill: its runs have a limit of their own in place of the
    DAG's. So the first task waits for that of the day before and for what directly follows it,
    to which the release is added. A failed day keeps later ones waiting until it is mended.
    """
    first, last = dag.get_task("extract.plan"), dag.get_task("release")
    first.depends_on_past = True
    first.wait_for_downstream = True
    first >> last


def train() -> TaskGroup:
    """Train, judge and promote the models of the business, a mapped group of tasks per model."""
    with TaskGroup("train") as group:
        models = CoreOperator(task_id="plan", calls=f"{__name__}:models")

        @task_group(group_id="model")
        def one(model: str) -> None:
            judged = ModelOperator(
                task_id="judge", calls="tagline.training.train:judge", model=model
            )
            judged >> ModelOperator(
                task_id="promote", calls="tagline.training.promotion:promote_judged", model=model
            )

        trained = one.expand(model=models.output)
        trained >> step("finish", f"{__name__}:finish", trigger_rule="none_failed")
    return group


def source_tables(
    deployment: Deployment, run_id: str, as_of: datetime, at: datetime
) -> Sequence[str]:
    """The source tables to extract."""
    from tagline.extract import source_tables

    return source_tables(deployment.catalog)


def canonical_tables(
    deployment: Deployment, run_id: str, as_of: datetime, at: datetime
) -> Sequence[str]:
    """The canonical tables to clean; raises NoData if the sources do not reach the day."""
    from tagline.clean import canonical_tables
    from tagline.extract import require_data

    require_data(deployment, run_id, as_of)
    return canonical_tables(deployment.catalog)


def models(deployment: Deployment, run_id: str, as_of: datetime, at: datetime) -> Sequence[str]:
    """The models to train."""
    return tuple(deployment.catalog.models)


def finish(deployment: Deployment, run_id: str, as_of: datetime, at: datetime) -> Sequence[str]:
    """End a training run in the registry; lists the models that may serve as_of.

    A run that found no data, so that nothing was trained, stays what it is.
    """
    registry = deployment.registry
    if registry.run(run_id).status != "no_data":
        registry.finish_run(run_id, "trained", at)
    return [name for name in deployment.catalog.models if registry.champion(name, as_of)]
