"""Operators that call one function of the core for one as_of, and log its report."""

from __future__ import annotations

import logging
import pkgutil
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from structlog.contextvars import bound_contextvars

from tagline.errors import NoData, TaglineError, did_you_mean
from tagline.logs import logged_stage
from tagline.settings import Settings
from tagline_airflow.links import ModelRunLink
from tagline_airflow.reports import report_lines

if TYPE_CHECKING:
    from airflow.sdk import Context

    from tagline.catalog import Catalog
    from tagline.deployment import Deployment

RELEASE = Asset("tagline://release")
_RUN = "run"  # the XCom key under which the first task leaves the run


@dataclass(frozen=True)
class CoreRun:
    """What the core calls this DAG run: the same for every task and every retry."""

    id: str
    as_of: datetime


class CoreOperator(BaseOperator):
    """Calls the core's `module:function(deployment, run_id, as_of, at)` and logs its report.

    `calls` names the function. With `table` or `bucket` (mapped tasks) it is called for that
    alone. The return value is the report as JSON. Without data for the day the rest of the run is
    skipped; what a retry cannot mend fails at once.
    """

    def __init__(
        self,
        *,
        calls: str,
        table: str | None = None,
        bucket: int | None = None,
        **options: Any,
    ) -> None:
        options.setdefault("on_failure_callback", mark_failed)
        super().__init__(**options)
        self.calls = calls
        self.table = table
        self.bucket = bucket

    def execute(self, context: Context) -> Any:
        """Call the core and log what it reports; its errors are said in Airflow's words."""
        logging.getLogger("pyiceberg").setLevel(logging.WARNING)  # a line for each file opened
        try:
            report = self._report(context)
        except NoData as error:
            _finish(context, "no_data", str(error))
            raise AirflowSkipException(f"no data: {error}") from error
        except TaglineError as error:
            if error.is_transient:
                raise  # is retried
            raise AirflowFailException(str(error)) from error
        for line in report_lines(report if isinstance(report, Mapping) else {"list": report}):
            self.log.info(line)
        self.finish(report, context)
        return report

    def _report(self, context: Context) -> Any:
        from tagline.deployment import open_deployment
        from tagline.outages import explained

        settings = Settings()
        with explained(settings), open_deployment(settings) as deployment:
            run = self.run_of(deployment, context)
            # Airflow's own lines carry these values too, as those of the core do
            with bound_contextvars(run=run.id, as_of=run.as_of.isoformat()):
                report = logged_stage(
                    self.task_id,
                    run.id,
                    run.as_of,
                    lambda: self.call(deployment, run, datetime.now(UTC)),
                )
        if hasattr(report, "as_json"):
            return report.as_json()
        if isinstance(report, Mapping):
            return dict(report)
        if isinstance(report, Iterable) and not isinstance(report, str | bytes):
            return list(report)
        raise TaglineError(
            f"{self.calls} returned {type(report).__name__}; it must return a list of short "
            "values, a mapping, or an object with as_json()"
        )

    def run_of(self, deployment: Deployment, context: Context) -> CoreRun:
        """The run that the first task has started."""
        return _known_run(context)

    def call(self, deployment: Deployment, run: CoreRun, at: datetime) -> Any:
        """Call the function of the core."""
        function = _function(self.calls)
        only: dict[str, Any] = {}
        if self.table is not None:
            only["tables"] = [self.table]
        if self.bucket is not None:
            only["bucket"] = self.bucket
        return function(deployment, run.id, run.as_of, at, **only)

    def finish(self, report: Any, context: Context) -> None:
        """What is left to do with a report."""


class StartOperator(CoreOperator):
    """The first task of a DAG: decides as_of and run id, and enters the run in the registry."""

    def run_of(self, deployment: Deployment, context: Context) -> CoreRun:
        """A new run of the core for this DAG run (a further one each time it is cleared)."""
        dag_run = context["dag_run"]
        name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{dag_run.dag_id}.{dag_run.run_id}")
        again = f".{dag_run.clear_number}" if dag_run.clear_number else ""
        run = CoreRun(name + again, as_of_run(context, deployment.catalog))
        now = datetime.now(UTC)
        deployment.registry.start_run(run.id, run.as_of, now)
        context["ti"].xcom_push(_RUN, {"id": run.id, "as_of": run.as_of.isoformat()})
        self.log.info("run %s, as of %s", run.id, run.as_of.isoformat())
        if run.as_of > now:
            raise NoData(f"as_of {run.as_of.isoformat()} lies in the future; ask for a past day")
        return run


class ReleaseOperator(CoreOperator):
    """Releases the run's candidate and tells downstream DAGs; a held one is shown as skipped."""

    def __init__(self, **options: Any) -> None:
        super().__init__(calls="tagline.release:release", outlets=[RELEASE], **options)

    def call(self, deployment: Deployment, run: CoreRun, at: datetime) -> Any:
        """Release; the core knows the run's as_of."""
        function = pkgutil.resolve_name(self.calls)
        return function(deployment, run.id, at)

    def finish(self, report: Any, context: Context) -> None:
        """Let the asset's event say which release this is, and whether it is live."""
        if report["status"] == "held":
            raise AirflowSkipException(
                f"release {report['release']} is held: {'; '.join(report['reasons'])}. Release it "
                f"with `tagline release {report['release']} --reason TEXT`, or fix and clear."
            )
        context["outlet_events"][RELEASE].extra = {
            "release": report["release"],
            "as_of": report["as_of"],
            "live": report["live"] == report["release"],
        }


class ModelOperator(CoreOperator):
    """Calls `module:function(deployment, model, as_of, at)` of the core for one model.

    Its page has a link to the MLflow run that the report names.
    """

    operator_extra_links = (ModelRunLink(),)
    template_fields = ("model",)

    def __init__(self, *, model: str, **options: Any) -> None:
        super().__init__(map_index_template="{{ task.model }}", **options)
        self.model = model
        self.run_url: str | None = None

    def call(self, deployment: Deployment, run: CoreRun, at: datetime) -> Any:
        """Call the function of the core for the model."""
        function = _function(self.calls)
        return function(deployment, self.model, run.as_of, at)

    def finish(self, report: Any, context: Context) -> None:
        """Keep the address of the MLflow run for the link; what is not promoted ends as skipped."""
        self.run_url = report["run_url"]
        if report.get("promoted") is False:
            raise AirflowSkipException(
                f"{self.model} is not promoted: {'; '.join(report['reasons'])}"
            )


def _function(calls: str) -> Any:
    """What `module:function` names; a wrong name is an error that no retry mends."""
    module, _, name = calls.partition(":")
    try:
        return pkgutil.resolve_name(calls)
    except AttributeError as error:
        if module not in sys.modules:  # the module itself is broken
            raise
        known = [each for each in vars(sys.modules[module]) if not each.startswith("_")]
        raise TaglineError(f"{module} has no {name!r}.{did_you_mean(name, known)}") from error
    except (ImportError, ValueError) as error:
        raise TaglineError(f"{calls!r} cannot be loaded: {error}") from error


def as_of_run(context: Context, catalog: Catalog) -> datetime:
    """The as_of of a DAG run: the day asked for, else the end of its interval, else last midnight.

    A run triggered without a logical date has no interval. Scheduled runs and backfills are asked
    for nothing: their days are different by design.
    """
    dag_run = context["dag_run"]
    asked: str | None = context["params"].get("as_of")
    if asked and dag_run.run_type == "manual":
        return catalog.midnight(date.fromisoformat(asked))
    if dag_run.data_interval_end is not None:
        return dag_run.data_interval_end.astimezone(UTC)
    return catalog.midnight(catalog.day(dag_run.run_after))


def mark_failed(context: Context) -> None:
    """Enter the failure in the registry; called once the last retry has failed."""
    if _started_run(context):
        _finish(context, "failed", f"{context['ti'].task_id}: {context.get('exception')}")


def _finish(context: Context, status: str, reason: str) -> None:
    from tagline.registry import open_registry

    registry = open_registry(Settings())  # a broken catalog must not hide its own failure
    registry.finish_run(_known_run(context).id, status, datetime.now(UTC), reason)
    registry.close()


def _known_run(context: Context) -> CoreRun:
    known = _started_run(context)
    if known is None:
        raise TaglineError("no task extract.plan has started the run; chain extract() first")
    return known


def _started_run(context: Context) -> CoreRun | None:
    left = context["ti"].xcom_pull(task_ids="extract.plan", key=_RUN)
    return CoreRun(left["id"], datetime.fromisoformat(left["as_of"])) if left else None


DEFAULTS: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=15),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=2),
}
