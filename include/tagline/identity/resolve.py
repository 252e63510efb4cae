"""The stage resolve: the history of identity from all evidence, as versions of the table identity.

All of the history is worked out anew from the evidence that is loaded, component by component; only
what differs from the stored rows is written. So late evidence changes the past where it belongs,
and doing it again changes nothing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagline.cleanings import commit, finish_entries, lay_out
from tagline.compaction import compact
from tagline.definitions import IdentityRules
from tagline.engines import literal
from tagline.identity.checks import IDENTITY
from tagline.identity.components import batches
from tagline.identity.groups import Link
from tagline.identity.history import Change, history
from tagline.identity.reading import Evidence, rules_of
from tagline.identity.review import to_review
from tagline.identity.standing import microseconds
from tagline.scratch import scratch_folder
from tagline.versions import BEGINNING, Versions, row_columns
from tagline.versions import SOURCE as ROW_SOURCE

if TYPE_CHECKING:
    import pyarrow

    from tagline.deployment import Deployment

SOURCE = "identity_rules"  # of the rows of identity
LISTED = 100  # doubts that the stage's output lists; `tagline identity review` lists all
_ROWS = 50_000  # written at a time


@dataclass(frozen=True)
class ResolveReport:
    """What was resolved: keys with evidence, those with a customer and customers, as of the run.

    `added` and `superseded` count rows of the table identity; `by_rule` keys; `doubts` what people
    should look at, by kind; `review` names the first of them; `ignored` counts evidence of kinds
    that the rules do not know.
    """

    keys: int = 0
    linked: int = 0
    customers: int = 0
    by_rule: dict[str, int] = field(default_factory=dict)
    added: int = 0
    superseded: int = 0
    doubts: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    review: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The stage's output."""
        return asdict(self)


def resolve(deployment: Deployment, run_id: str, as_of: datetime, at: datetime) -> ResolveReport:
    """Bring the table identity up to date with all evidence that was cleaned."""
    started = time.perf_counter()
    rules = rules_of(deployment)
    with (
        deployment.registry.lock(f"clean:{IDENTITY}"),
        scratch_folder(deployment.settings, "resolve") as scratch,
    ):
        finish_entries(deployment, IDENTITY)
        lay_out(deployment, IDENTITY)
        found = _Found(microseconds(as_of))
        path = scratch / "identity.parquet"
        evidence = Evidence(deployment)
        spans = evidence.spans()
        _write(path, found.watched(_changes(rules, spans)))
        changed = _versions(deployment, scratch).changes(str(path), None, at)
        if changed.row_files or changed.entry_files:
            commit(deployment, IDENTITY, changed, run_id, {"run_id": run_id})
        compact(deployment.lake, deployment.engine, IDENTITY, at)
    doubts = to_review(evidence, spans, as_of)
    report = ResolveReport(
        keys=evidence.keys(as_of),
        linked=len(found.links),
        customers=len({link.customer_id for link in found.links.values()}),
        by_rule=dict(Counter(link.rule for link in found.links.values()).most_common()),
        added=changed.added,
        superseded=changed.superseded,
        doubts=dict(Counter(doubt.kind for doubt in doubts).most_common()),
        ignored=evidence.ignored(),
        seconds=round(time.perf_counter() - started, 3),
        review=[asdict(doubt) for doubt in doubts[:LISTED]],
    )
    deployment.registry.save_stage(run_id, "resolve", report.as_json(), report.seconds)
    return report


def withdraw(deployment: Deployment) -> None:
    """Take back what the stage made, for a business whose identity comes from a source now.

    Keys belong to the source that delivered them first; so those of the stage have to go before
    a source delivers them. The caller holds the lock of the table's cleaning.
    """
    name, table = f"clean.{IDENTITY}", deployment.catalog.tables[IDENTITY]
    stored = deployment.lake.relation(name, row_columns(table))
    made = f"SELECT 1 FROM stored WHERE {ROW_SOURCE} = {literal(SOURCE)} LIMIT 1"
    if not stored.files or not deployment.engine.fetch(made, {"stored": stored}).num_rows:
        return
    with scratch_folder(deployment.settings, "withdraw") as scratch:
        path = scratch / "nothing.parquet"
        _write(path, iter(()))
        changed = _versions(deployment, scratch).changes(str(path), None, BEGINNING)
        if changed.row_files or changed.entry_files:
            commit(deployment, IDENTITY, changed, "withdrawn", {})


def _versions(deployment: Deployment, scratch: Path) -> Versions:
    return Versions(
        engine=deployment.engine,
        lake=deployment.lake,
        name=IDENTITY,
        table=deployment.catalog.tables[IDENTITY],
        source=SOURCE,
        buckets=deployment.settings.customer_buckets,
        scratch=scratch,
    )


def _changes(rules: IdentityRules, spans: pyarrow.Table) -> Iterator[Change]:
    for batch in batches(spans):
        yield from history(rules, batch)


@dataclass
class _Found:
    """The links that hold as of an instant, gathered from the changes that go by."""

    until: int
    links: dict[str, Link] = field(default_factory=dict)

    def watched(self, changes: Iterator[Change]) -> Iterator[Change]:
        """The changes themselves."""
        for change in changes:
            if change.start < self.until:
                if change.link is None:
                    self.links.pop(change.key, None)
                else:
                    self.links[change.key] = change.link
            yield change


def _write(path: Path, changes: Iterator[Change]) -> None:
    """Write changes as rows of the table identity."""
    import pyarrow
    from pyarrow import parquet

    texts = ("customer_key", "customer_id", "rule", "evidence", "linked_key")
    schema = pyarrow.schema(
        [(name, pyarrow.string()) for name in texts]
        + [("valid_at", pyarrow.timestamp("us", tz="UTC"))]
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _chunks(changes):
            columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True))
            writer.write_table(pyarrow.table(dict(zip(schema.names, columns, strict=True)), schema))


def _chunks(changes: Iterator[Change]) -> Iterator[list[tuple[Any, ...]]]:
    rows: list[tuple[Any, ...]] = []
    for change in changes:
        rows.append((change.key, *(change.link or (None,) * 4), change.start))
        if len(rows) == _ROWS:
            yield rows
            rows = []
    if rows:
        yield rows
