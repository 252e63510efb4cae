"""Great Expectations itself: a context, suites run on frames, results read with their errors."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tagline.errors import TaglineError, did_you_mean
from tagline.quality.plan import Rule
from tagline.quality.report import ExpectationResult

if TYPE_CHECKING:
    import pandas as pd

SHOWN_VALUES = 5
KEPT_VALUES = 20
_NOT_KEPT = (
    "partial_unexpected_index_list",
    "partial_unexpected_counts",
    "unexpected_list",
    "unexpected_index_query",
)
_PER_CENT = ("unexpected_percent", "unexpected_percent_total", "unexpected_percent_nonmissing")


def great_expectations() -> Any:
    """The library, imported once, with its information lines, warnings and statistics silenced."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings(), _without_pyspark(), _on_first_use():
        warnings.simplefilter("ignore")
        import great_expectations
        import great_expectations.expectations
    return great_expectations


@contextmanager
def _without_pyspark() -> Iterator[None]:
    """Let nothing find PySpark meanwhile.

    Great Expectations imports all of it where it is installed: seconds that no check needs, and
    the end of a process whose main module has no file, which PySpark takes for a doctest's.
    """
    if "great_expectations" in sys.modules:
        yield
        return
    names = [name for name in sys.modules if name == "pyspark" or name.startswith("pyspark.")]
    hidden = {name: sys.modules.pop(name) for name in names}
    sys.modules["pyspark"] = None  # type: ignore[assignment]  # Python's own way to refuse it
    try:
        yield
    finally:
        del sys.modules["pyspark"]
        sys.modules.update(hidden)


class _LoadedOnFirstUse(MetaPathFinder):
    """Finds drawing and distribution tests, a second and a half of imports that few rules need."""

    _NAMES = ("altair", "scipy.stats")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._NAMES:
            return None
        found = PathFinder.find_spec(fullname, path, target)
        if found is not None and found.loader is not None:
            found.loader = LazyLoader(found.loader)
        return found


@contextmanager
def _on_first_use() -> Iterator[None]:
    """Let modules that are imported meanwhile, and seldom used, be loaded when they are."""
    finder = _LoadedOnFirstUse()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def is_by_row(name: str) -> bool:
    """Whether an expectation judges each row by itself; an unknown name is refused."""
    great_expectations()
    from great_expectations.exceptions.exceptions import ExpectationNotFoundError
    from great_expectations.expectations import expectation, registry

    try:
        found = registry.get_expectation_impl(name)
    except ExpectationNotFoundError:
        known = registry.list_registered_expectation_implementations()
        raise TaglineError(
            f"Great Expectations has no {name!r}.{did_you_mean(name, known)}"
        ) from None
    return issubclass(
        found,
        expectation.ColumnMapExpectation
        | expectation.ColumnPairMapExpectation
        | expectation.MulticolumnMapExpectation,
    )


class Judge:
    """Runs rules on frames, and keeps the results as pages of a Data Docs site.

    Without a folder nothing is kept. The folder holds the site; `.results` in it the results
    that the site's pages are made from, of the newest `KEPT_PAGES` validations.
    """

    KEPT_PAGES = 200

    def __init__(self, folder: Path | None = None) -> None:
        library = great_expectations()
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
        )

        self.folder = folder
        defaults = InMemoryStoreBackendDefaults()
        config = DataContextConfig(store_backend_defaults=defaults)
        if folder is not None:
            (folder / ".results").mkdir(parents=True, exist_ok=True)
            for store, name in (
                (defaults.validation_results_store_name, "validations"),
                (defaults.expectations_store_name, "expectations"),
            ):
                config.stores[store]["store_backend"] = {
                    "class_name": "TupleFilesystemStoreBackend",
                    "base_directory": str(folder / ".results" / name),
                }
            config.data_docs_sites = {"tagline": _site(folder)}
        self.context = library.get_context(project_config=config, mode="ephemeral")
        self.context.variables.progress_bars = {"globally": False}
        frames = self.context.data_sources.add_pandas("tagline").add_dataframe_asset("rows")
        self._batches = frames.add_batch_definition_whole_dataframe("frame")

    def judge(
        self,
        suite: str,
        rules: Sequence[Rule],
        frames: Iterable[pd.DataFrame],
        identify: str | None = None,
    ) -> list[Any]:
        """One result of Great Expectations' own per rule, in order, over all frames together.

        With `identify`, failing rows are listed by this column, for `identified`: small frames.
        """
        library = great_expectations()
        asked = library.ExpectationSuite(name=suite, expectations=_configured(suite, rules))
        wanted: dict[str, Any] = {
            "result_format": "SUMMARY",
            "partial_unexpected_count": KEPT_VALUES,
        }
        if identify is not None:
            wanted = {"result_format": "COMPLETE", "unexpected_index_column_names": [identify]}
        merged: list[Any] = [None] * len(rules)
        for frame in frames:
            batch = self._batches.get_batch(batch_parameters={"dataframe": frame})
            found = batch.validate(asked, result_format=wanted)
            for result in found.results:
                number = result.expectation_config.meta["rule"]
                merged[number] = _merged(merged[number], result)
        return [
            _decided(result, rule)
            for result, rule in zip(merged, rules, strict=True)
            if result is not None
        ]

    def keep(self, suite: str, results: Sequence[Any], run_id: str, at: datetime) -> Any:
        """Keep the results as the validation of `suite` in this run; an identifier of its page."""
        library = great_expectations()
        from great_expectations.core import ExpectationSuiteValidationResult, RunIdentifier
        from great_expectations.data_context.types.resource_identifiers import (
            ExpectationSuiteIdentifier,
            ValidationResultIdentifier,
        )

        good = sum(bool(result.success) for result in results)
        run = RunIdentifier(run_name=run_id, run_time=at)
        whole = ExpectationSuiteValidationResult(
            success=good == len(results),
            results=list(results),
            suite_name=suite,
            statistics={
                "evaluated_expectations": len(results),
                "successful_expectations": good,
                "unsuccessful_expectations": len(results) - good,
                "success_percent": 100 * good / len(results) if results else None,
            },
            meta={
                "great_expectations_version": library.__version__,
                "run_id": run,
                "validation_time": at.isoformat(),
                "active_batch_definition": {"data_asset_name": suite},
            },
        )
        shown = library.ExpectationSuite(
            name=suite, expectations=[_plain(result.expectation_config) for result in results]
        )
        self.context.suites.add_or_update(shown)
        named = ExpectationSuiteIdentifier(name=suite)
        page = ValidationResultIdentifier(
            expectation_suite_identifier=named, run_id=run, batch_identifier=suite
        )
        self.context.validation_results_store.store_validation_results(
            suite_validation_result=whole,
            suite_validation_result_identifier=page,
            expectation_suite_identifier=named,
        )
        return page

    def build(self, pages: Sequence[Any]) -> str | None:
        """Build these pages, their suites' pages and the index; the index file, if there is one."""
        if self.folder is None:
            return None
        store = self.context.validation_results_store
        kept = sorted(store.list_keys(), key=lambda key: key.run_id.run_time)
        for key in kept[: -self.KEPT_PAGES]:
            store.remove_key(key)
        suites = [page.expectation_suite_identifier for page in pages]
        self.context.build_data_docs(resource_identifiers=[*pages, *suites])
        return str(self.folder / "index.html")


def read(result: Any, rule: Rule) -> ExpectationResult:
    """A result of Great Expectations as ours; an exception it caught is a failure with a reason."""
    figures = result.result or {}
    error = _exception(result)
    observed = figures.get("observed_value")
    values = [] if rule.private else figures.get("partial_unexpected_list") or []
    return ExpectationResult(
        expect=rule.shown_as,
        subject=rule.subject,
        severity=rule.severity,
        success=bool(result.success) and error is None,
        checked=_checked(figures),
        unexpected=int(figures.get("unexpected_count") or 0),
        actual=None if observed is None else str(observed),
        sample=tuple(dict.fromkeys(str(value)[:80] for value in values))[:SHOWN_VALUES],
        limits=rule.limits,
        error=error,
    )


def identified(result: Any, column: str) -> list[Any]:
    """The failing rows of a result that was judged with `identify`, by that column."""
    error = _exception(result)
    if error is not None:
        name = result.expectation_config.type
        raise TaglineError(f"Great Expectations could not judge {name}: {error}")
    return [row[column] for row in (result.result or {}).get("unexpected_index_list") or ()]


def _configured(suite: str, rules: Sequence[Rule]) -> list[Any]:
    from great_expectations.compatibility.pydantic import ValidationError
    from great_expectations.expectations.expectation_configuration import (
        ExpectationConfiguration,
    )
    from great_expectations.expectations.metadata_types import FailureSeverity

    made = []
    for number, rule in enumerate(rules):
        meta: dict[str, Any] = {"rule": number}
        if rule.note:
            meta["notes"] = rule.note
        warning = rule.severity == "warning"
        severity = FailureSeverity.WARNING if warning else FailureSeverity.CRITICAL
        try:
            made.append(
                ExpectationConfiguration(
                    type=rule.expect, kwargs=dict(rule.kwargs), meta=meta, severity=severity
                ).to_domain_obj()
            )
        except (ValidationError, TypeError, ValueError) as refusal:
            raise TaglineError(
                f"{suite}: Great Expectations refuses {rule.shown_as} of {rule.subject} "
                f"({rule.limits or 'no limits'}): {refusal}"
            ) from refusal
    return made


def _plain(config: Any) -> Any:
    """The expectation without the ids that a stored suite gives by itself."""
    made = config.to_domain_obj()
    made.id = None
    return made


def _merged(before: Any, result: Any) -> Any:
    """Two results of one rule on different frames as one."""
    if before is None or _exception(before) is not None:
        return result if before is None else before
    if _exception(result) is not None:
        return result
    old, new = before.result, result.result
    if "element_count" in old:
        for key in ("element_count", "unexpected_count", "missing_count"):
            if key in old:
                old[key] += new[key]
        both = [*old["partial_unexpected_list"], *new["partial_unexpected_list"]]
        old["partial_unexpected_list"] = both[:KEPT_VALUES]
    before.success = bool(before.success and result.success)
    return before


def _decided(result: Any, rule: Rule) -> Any:
    """Success over all frames, by the author's `mostly`, and the shares that go with it."""
    figures = result.result or {}
    for gone in _NOT_KEPT:
        figures.pop(gone, None)
    if _exception(result) is None and "element_count" in figures:
        checked = _checked(figures)
        unexpected = figures["unexpected_count"]
        share = unexpected / checked if checked else 0.0
        result.success = unexpected == 0 or 1.0 - share >= rule.mostly
        for key in _PER_CENT:
            whole = figures["element_count"] if key.endswith("total") else checked
            if key in figures:
                figures[key] = 100.0 * unexpected / whole if whole else 0.0
        if rule.private:
            figures["partial_unexpected_list"] = []
    if rule.mostly < 1.0:
        result.expectation_config.kwargs["mostly"] = rule.mostly
    return result


def _checked(figures: dict[str, Any]) -> int:
    return int(figures.get("element_count") or 0) - int(figures.get("missing_count") or 0)


def _exception(result: Any) -> str | None:
    """The message of an exception that was caught while judging, if there was one.

    `exception_info` is one record, or one per metric that failed.
    """
    info = result.exception_info or {}
    records = [info] if "raised_exception" in info else list(info.values())
    for record in records:
        if record.get("raised_exception"):
            return str(record.get("exception_message") or "an exception without a message")
    return None


def _site(folder: Path) -> dict[str, Any]:
    view = {"module_name": "tagline.quality.offline", "class_name": "OfflinePageView"}
    index = {"module_name": "tagline.quality.offline", "class_name": "OfflineIndexPageView"}
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder),
        },
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "view": index},
        "site_section_builders": {
            "expectations": {"view": view},
            "validations": {"view": view},
            "profiling": "None",
        },
    }
