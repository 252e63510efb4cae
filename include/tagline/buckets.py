"""Computes a candidate bucket by bucket: a plan, each bucket, then what needs all customers.

Extractions and statistics of a customer are made of that customer's rows alone, so a bucket of
customers is computed from its own files. Ranks and rules follow over all of them together. The
values are those of one bucket, whatever the number.

A business whose sources know a customer by several keys has an extra bucket: of the customers
whose keys lie in several. Its rows are picked out of all files first.
"""

from __future__ import annotations

import hashlib
import shutil
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagline.compile import Compiled, compile_ground, compile_identity, compile_ranks_and_rules
from tagline.compute import (
    ComputeReport,
    candidate_file,
    column_types,
    released_before,
    remember_tags,
    save_computed,
    superseded_columns,
)
from tagline.definitions import DataType
from tagline.derived import DerivedTables
from tagline.engines import Relation, identifier
from tagline.errors import TaglineError
from tagline.layout import BUCKET, LAID_OUT_IN, bucket_sql
from tagline.previous import release_read
from tagline.scratch import scratch_folder
from tagline.storage import is_remote
from tagline.subject_candidates import compute_others
from tagline.subjects import CUSTOMER, SUBJECTS

if TYPE_CHECKING:
    from tagline.deployment import Deployment

_TAGS = "_computed"  # ends the name of the relation of another subject's tags
STAGE = "buckets"  # of a run: where the plan and the finished buckets are kept
_HOME = {"customer_id": DataType.TEXT, "bucket": DataType.INTEGER}
_KEY = {"customer_key": DataType.TEXT, "customer_id": DataType.TEXT}


@dataclass(frozen=True)
class BucketPlan:
    """What all buckets of a run agree on.

    `snapshots` are the states of the stored tables; `sql` the digest of their query;
    `homes` and `keys`, where identity is mapped, files of each customer's bucket and of each
    key's customer. A `whole` plan has one bucket of all customers: some expression looks at other
    customers than its own. `others` are the candidates of other subjects, which customers' tags
    read; `previous` is the release that `previous(tag)` reads, as of `release_read`. `materialised`
    are derived tables that each bucket would make of all customers' rows: they are made once.
    """

    id: str
    buckets: tuple[int, ...]
    snapshots: Mapping[str, int]
    changed: tuple[str, ...]
    sql: str
    others: dict[str, dict[str, Any]]
    whole: bool = False
    homes: str | None = None
    keys: str | None = None
    previous: dict[str, int | None] | None = None
    materialised: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Bucket:
    """A computed bucket: its file of extractions and statistics."""

    plan: str
    bucket: int
    path: str
    rows: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The task's output."""
        return asdict(self)


def compute_by_bucket(
    deployment: Deployment, run_id: str, as_of: datetime, at: datetime
) -> ComputeReport:
    """The whole of compute, one bucket after the other."""
    for bucket in plan_buckets(deployment, run_id, as_of, at):
        compute_bucket(deployment, run_id, as_of, at, bucket)
    return join_buckets(deployment, run_id, as_of, at)


def plan_buckets(
    deployment: Deployment, run_id: str, as_of: datetime, at: datetime
) -> tuple[int, ...]:
    """Decide which buckets a run computes and from which state of the tables; their numbers.

    A plan made anew takes the place of the one before, with all of its buckets.
    """
    started = time.perf_counter()
    catalog = deployment.catalog
    remember_tags(deployment, at)
    stored = [name for name in catalog.tables if name not in catalog.derived]
    names = [*stored, *(f"{name}__superseded" for name in stored)]
    found = {name: deployment.lake.snapshot(f"clean.{name}") for name in names}
    snapshots = {name: snapshot for name, snapshot in found.items() if snapshot is not None}
    changed = frozenset(name for name in stored if f"{name}__superseded" in snapshots)
    compiled = _ground(deployment, as_of, changed)
    _require_layout(deployment, compiled)
    apart = CUSTOMER.table in compiled.by_customer
    plan = BucketPlan(
        id=uuid.uuid4().hex[:12],
        buckets=tuple(range(deployment.settings.customer_buckets if apart else 1)),
        whole=not apart,
        snapshots=snapshots,
        changed=tuple(sorted(changed)),
        sql=_digest(compiled),
        previous=release_read(catalog, deployment.registry, as_of),
        others=compute_others(deployment, run_id, as_of, changed),
    )
    plan = _with_derived(deployment, as_of, plan, compiled)
    if apart and catalog.definition.identity != "one_to_one":
        plan = _with_homes(deployment, run_id, as_of, plan)
    plan = replace(plan, seconds=round(time.perf_counter() - started, 3))
    with deployment.registry.lock(f"buckets:{run_id}"):
        output = {"plan": asdict(plan), "done": {}}
        deployment.registry.save_stage(run_id, STAGE, output, plan.seconds)
    return plan.buckets


def compute_bucket(
    deployment: Deployment, run_id: str, as_of: datetime, at: datetime, bucket: int
) -> Bucket:
    """Write the extractions and statistics of one bucket's customers, as the run's plan says."""
    started = time.perf_counter()
    plan = _plan(deployment, run_id)
    compiled = _ground(deployment, as_of, frozenset(plan.changed), plan.materialised)
    _require_same(plan, compiled)
    path = candidate_file(deployment, run_id, f"bucket-{bucket}")
    with _folder(deployment, run_id, f"bucket-{bucket}") as scratch:
        relations = _Inputs(deployment, plan, compiled, as_of, bucket, scratch).relations()
        rows = deployment.tag_engine.write(compiled.sql, relations, path)
    made = Bucket(plan.id, bucket, path, rows, round(time.perf_counter() - started, 3))
    with deployment.registry.lock(f"buckets:{run_id}"):
        kept = deployment.registry.stage(run_id, STAGE)
        if kept["plan"]["id"] == plan.id:
            kept["done"][str(bucket)] = made.as_json()
            seconds = sum(each["seconds"] for each in [kept["plan"], *kept["done"].values()])
            deployment.registry.save_stage(run_id, STAGE, kept, seconds)
    return made


def join_buckets(
    deployment: Deployment, run_id: str, as_of: datetime, at: datetime
) -> ComputeReport:
    """Write the candidate from all buckets of the plan, with the ranks and rules over them."""
    started = time.perf_counter()
    plan = _plan(deployment, run_id)
    ground = _ground(deployment, as_of, frozenset(plan.changed), plan.materialised)
    _require_same(plan, ground)
    done = deployment.registry.stage(run_id, STAGE)["done"]
    missing = [str(bucket) for bucket in plan.buckets if str(bucket) not in done]
    if missing:
        raise TaglineError(
            f"run {run_id}: bucket {', '.join(missing)} is not computed yet; "
            "run it, or clear the whole of compute."
        )
    files = tuple(done[str(bucket)]["path"] for bucket in plan.buckets)
    compiled = compile_ranks_and_rules(deployment.catalog, as_of)
    path = candidate_file(deployment, run_id, "computed")
    relations = released_before(deployment, compiled, as_of)
    relations["ground"] = Relation(files, ground.columns)
    rows = deployment.tag_engine.write(compiled.sql, relations, path)
    columns, before = compiled.columns, plan.previous
    return save_computed(deployment, run_id, path, rows, columns, plan.others, before, started)


@contextmanager
def _folder(deployment: Deployment, run_id: str, name: str) -> Iterator[Path]:
    """An empty folder for the block, where whatever computes the tags can read.

    The machines of a cluster see the lake, not this machine's home.
    """
    here = deployment.tag_engine is deployment.engine
    if here or is_remote(deployment.lake.location):
        with scratch_folder(deployment.settings, name) as folder:
            yield folder
        return
    folder = Path(candidate_file(deployment, run_id, name)).with_suffix("")
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _Inputs:
    """The relations that a bucket's query reads."""

    deployment: Deployment
    plan: BucketPlan
    compiled: Compiled
    as_of: datetime
    bucket: int
    scratch: Path

    def relations(self) -> dict[str, Relation]:
        """The rows of the bucket's customers; other customers' may be among them."""
        found: dict[str, Relation] = {}
        for name, columns in self.compiled.tables.items():
            types = column_types(self.deployment.catalog, name, columns)
            found[name] = self._stored(name, types)
            if name in self.compiled.superseded:
                entries = superseded_columns(self.deployment.catalog, name)
                found[f"{name}__superseded"] = self.files(f"{name}__superseded", entries)
        for name, other in self.plan.others.items():
            subject = SUBJECTS[name]
            tags = self.deployment.catalog.tags_of(subject).values()
            types = {column: kind for tag in tags for column, kind in tag.columns.items()}
            types[subject.key] = DataType.TEXT
            found[subject.table + _TAGS] = Relation((other["path"],), types)
        derived = _derived(self.deployment, self.as_of, self.plan)
        for name, columns in self.compiled.materialised.items():
            path = derived.file(name, make=True)  # made again if it has been swept since
            assert path is not None
            found[name] = Relation((path,), column_types(self.deployment.catalog, name, columns))
        return found

    def _stored(self, name: str, types: Mapping[str, DataType]) -> Relation:
        bounds = {"before": ("valid_at", self.as_of), "after": self.compiled.since.get(name)}
        customer = self.deployment.catalog.tables[name].customer
        if self.plan.whole or name not in self.compiled.by_customer:
            return self.files(name, types, **bounds)
        if self.plan.homes is None:
            files = self.files(
                name,
                {**types, BUCKET: DataType.INTEGER},
                equal=(BUCKET, self.bucket),
                **bounds,
            )
            if name != CUSTOMER.table:
                return Relation(files.files, types)
            # Nobody is in two buckets, even if another program has written files together
            return self._picked(name, {"stored": files}, f"r.{BUCKET} = {self.bucket}")
        if customer == "customer_id":
            whole = self.files(name, types, **bounds)
            homes = Relation((self.plan.homes,), _HOME)
            return self._picked(
                name,
                {"stored": whole, "homes": homes},
                "CAST(r.customer_id AS VARCHAR) IN "
                f"(SELECT h.customer_id FROM homes AS h WHERE h.bucket = {self.bucket})",
            )
        if self.bucket < self.deployment.settings.customer_buckets:
            return self.files(name, types, **bounds, equal=(BUCKET, self.bucket))
        assert self.plan.keys is not None and customer is not None
        relations = {
            "stored": self.files(name, types, **bounds),
            "homes": Relation((self.plan.homes,), _HOME),
            "keys": Relation((self.plan.keys,), _KEY),
        }
        return self._picked(
            name,
            relations,
            f"CAST(r.{identifier(customer)} AS VARCHAR) IN (SELECT k.customer_key FROM keys AS k "
            f"JOIN homes AS h ON h.customer_id = k.customer_id WHERE h.bucket = {self.bucket})",
        )

    def files(self, name: str, types: Mapping[str, DataType], **conditions: Any) -> Relation:
        """Files of a table in the state that was planned."""
        snapshot = self.plan.snapshots.get(name)
        if snapshot is None:  # no such table yet
            return Relation((), types)
        lake = self.deployment.lake
        return lake.relation(f"clean.{name}", types, snapshot=snapshot, **conditions)

    def _picked(self, name: str, relations: Mapping[str, Relation], condition: str) -> Relation:
        """The rows that meet a condition, in a file of their own."""
        stored = relations["stored"]
        path = str(self.scratch / f"{name}.parquet")
        sql = f"SELECT * FROM stored AS r WHERE {condition}"
        rows = self.deployment.engine.write(sql, relations, path)
        return Relation((path,) if rows else (), stored.columns)


def _derived(deployment: Deployment, as_of: datetime, plan: BucketPlan) -> DerivedTables:
    """The derived tables made from the planned state of the tables."""
    return DerivedTables(deployment, as_of, frozenset(plan.changed), snapshots=plan.snapshots)


def _with_derived(
    deployment: Deployment, as_of: datetime, plan: BucketPlan, compiled: Compiled
) -> BucketPlan:
    """The plan with a file of each derived table that a bucket reads of all customers.

    A table that keeps customers apart is made in each bucket, of the bucket's rows alone.
    """
    tables = deployment.catalog.tables
    wanted = [
        name
        for name in compiled.derived
        if any(
            tables[source].customer is not None and source not in compiled.by_customer
            for source in deployment.catalog.derived[name].tables
        )
    ]
    if not wanted:
        return plan
    changed = frozenset(plan.changed)
    ground, files = _derived(deployment, as_of, plan).compiled(
        partial(_ground, deployment, as_of, changed), make=True, of=wanted
    )
    return replace(plan, materialised=tuple(files), sql=_digest(ground))


def _with_homes(
    deployment: Deployment, run_id: str, as_of: datetime, plan: BucketPlan
) -> BucketPlan:
    """The plan of a business with mapped identity: which customer is computed in which bucket.

    That is the bucket of the customer's keys, or the extra one where they lie in several.
    """
    catalog, count = deployment.catalog, deployment.settings.customer_buckets
    compiled = compile_identity(catalog, as_of, frozenset(plan.changed))
    keys = candidate_file(deployment, run_id, "keys")
    with scratch_folder(deployment.settings, "homes") as scratch:
        inputs = _Inputs(deployment, replace(plan, whole=True), compiled, as_of, 0, scratch)
        deployment.engine.write(compiled.sql, inputs.relations(), keys)
        people = inputs.files(CUSTOMER.table, {"customer_id": DataType.TEXT})
    relations = {"keys": Relation((keys,), _KEY), "people": people}
    homes = candidate_file(deployment, run_id, "homes")
    deployment.engine.write(_homes_sql(count), relations, homes)
    found = deployment.engine.fetch(
        f"SELECT count(*) AS n FROM homes WHERE bucket = {count}",
        {"homes": Relation((homes,), _HOME)},
    )
    extra = (count,) if found.column("n")[0].as_py() else ()
    return replace(plan, buckets=(*plan.buckets, *extra), homes=homes, keys=keys)


def _homes_sql(count: int) -> str:
    """Each customer's bucket; `count`, the extra one, where its keys lie in several."""
    return (
        "WITH of_keys AS (SELECT k.customer_id, "
        f"{bucket_sql('k.customer_key', count)} AS bucket FROM keys AS k), "
        "of_customers AS (SELECT customer_id, min(bucket) AS least, max(bucket) AS most "
        "FROM of_keys GROUP BY customer_id), "
        "everyone AS (SELECT DISTINCT CAST(p.customer_id AS VARCHAR) AS customer_id "
        "FROM people AS p) "
        "SELECT e.customer_id, CASE WHEN c.customer_id IS NULL THEN "
        f"{bucket_sql('e.customer_id', count)} WHEN c.least = c.most THEN c.least "
        f"ELSE {count} END AS bucket "
        "FROM everyone AS e LEFT JOIN of_customers AS c ON c.customer_id = e.customer_id"
    )


def _ground(
    deployment: Deployment,
    as_of: datetime,
    changed: frozenset[str],
    materialised: Collection[str] = (),
) -> Compiled:
    """The query of a bucket; tags of machines and the like are read from their own files."""
    catalog = deployment.catalog
    others = [subject for subject in catalog.subjects if subject is not CUSTOMER]
    given = {subject.name: subject.table + _TAGS for subject in others}
    return compile_ground(catalog, as_of, given, changed, materialised)


def _digest(compiled: Compiled) -> str:
    return hashlib.sha256(compiled.sql.encode()).hexdigest()[:16]


def _plan(deployment: Deployment, run_id: str) -> BucketPlan:
    kept = deployment.registry.stage(run_id, STAGE)["plan"]
    lists = ("buckets", "changed", "materialised")
    return BucketPlan(**{**kept, **{name: tuple(kept.get(name, ())) for name in lists}})


def _require_same(plan: BucketPlan, compiled: Compiled) -> None:
    if _digest(compiled) != plan.sql:
        raise TaglineError(
            "the definitions have changed since the buckets were planned; clear the whole of "
            "compute, or run the day again"
        )


def _require_layout(deployment: Deployment, compiled: Compiled) -> None:
    """Refuse tables that do not lie in the settings' buckets; their cleaning lays them out."""
    wanted = deployment.settings.customer_buckets
    for name in sorted(compiled.by_customer):
        found = deployment.lake.property_of(f"clean.{name}", LAID_OUT_IN, "1")
        if found != str(wanted) and deployment.lake.exists(f"clean.{name}"):
            raise TaglineError(
                f"clean.{name} lies in {found} buckets, and TAGLINE_CUSTOMER_BUCKETS is {wanted}. "
                "Run the whole day again: its cleaning lays the table out anew."
            )
