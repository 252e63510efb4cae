"""The lake: Iceberg tables over Parquet files; only this and lake_objects.py import pyiceberg."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import from_bytes
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.expressions import AlwaysTrue, And, BooleanExpression, EqualTo, Reference
from pyiceberg.expressions import GreaterThanOrEqual as NotBefore
from pyiceberg.expressions import LessThan as Before
from pyiceberg.expressions.literals import Literal, literal
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask, StaticTable, Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    ListType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)
from pyiceberg.utils.datetime import micros_to_timestamptz
from sqlalchemy.exc import IntegrityError, ProgrammingError

from tagline import storage
from tagline.definitions.types import DataType
from tagline.engines import Relation
from tagline.errors import TaglineError
from tagline.layout import BUCKET
from tagline.settings import Settings

Result = TypeVar("Result")

_SIMPLE: Mapping[DataType, IcebergType] = {
    DataType.BOOLEAN: BooleanType(),
    DataType.INTEGER: LongType(),
    DataType.NUMBER: DoubleType(),
    DataType.TEXT: StringType(),
    DataType.DATE: DateType(),
    DataType.TIMESTAMP: TimestamptzType(),
}
_INSTANT = TimestamptzType()
_ATTEMPTS = 12


def open_lake(settings: Settings) -> Lake:
    """The lake of a deployment: its catalog in the database, its files in the home or by URL."""
    from tagline.database import database_url

    location = settings.lake_url or str(settings.home_path / "lake")
    return Lake(database_url(settings, "lake"), location)


@dataclass(frozen=True)
class StoredFile:
    """A data file of a table, with the least instant that it has of a column.

    `highest` are the greatest instants of all its columns of instants, where they are known.
    """

    path: str
    bytes: int
    partition: str
    lowest: datetime | None
    highest: Mapping[str, datetime]


class Lake:
    """Iceberg tables named `namespace.table`; it knows files, engines read and write them."""

    def __init__(self, catalog_url: str, location: str) -> None:
        self._catalog_url = catalog_url
        self.location = storage.location_of(location)

    @cached_property
    def _catalog(self) -> SqlCatalog:
        storage.prepare(self.location)
        properties = {"uri": self._catalog_url, "warehouse": self.location, "pool_pre_ping": "true"}
        if storage.is_remote(self.location):
            properties["py-io-impl"] = "tagline.lake_objects.LakeObjects"
        return self._retried(lambda: SqlCatalog("tagline", **properties))

    def ensure(
        self,
        table: str,
        columns: Mapping[str, DataType],
        partition_by: str | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        """Make sure that the table exists with at least these columns.

        A new one is partitioned and gets the properties; an existing one keeps its own.
        """
        found = self._find(table) or self._create(table, columns, partition_by, properties)
        present = {field.name: field.field_type for field in found.schema().fields}
        for name, kind in columns.items():
            if name in present and _shape(present[name]) != _shape(_iceberg_type(kind, 0)):
                raise TaglineError(
                    f"{table}.{name} is stored as {present[name]} and cannot become {kind}. "
                    "Give the column with the new type a new name."
                )
        if any(name not in present for name in columns):
            self._retried(lambda: self._add_columns(table, columns))

    def exists(self, table: str) -> bool:
        """Whether the table has been made."""
        return self._find(table) is not None

    def property_of(self, table: str, name: str, otherwise: str) -> str:
        """A property of the table, or `otherwise` where it has none or does not exist."""
        found = self._find(table)
        return found.properties.get(name, otherwise) if found else otherwise

    def snapshot(self, table: str) -> int | None:
        """The id of the table's state by now; None while it has never had a file."""
        found = self._find(table)
        snapshot = found.current_snapshot() if found else None
        return snapshot.snapshot_id if snapshot else None

    def relation(
        self,
        table: str,
        columns: Mapping[str, DataType],
        *,
        before: tuple[str, datetime] | None = None,
        after: tuple[str, datetime] | None = None,
        equal: tuple[str, int] | None = None,
        snapshot: int | None = None,
    ) -> Relation:
        """The table's files that may hold rows with column < `before`, >= `after`, == `equal`.

        Pruning is by file, so rows outside may remain. A table that does not exist is empty.
        With `snapshot`, its files are those of that earlier state.
        """
        condition: BooleanExpression = AlwaysTrue()
        if before:
            condition = And(condition, Before(term=Reference(before[0]), value=_literal(before[1])))
        if after:
            condition = And(
                condition, NotBefore(term=Reference(after[0]), value=_literal(after[1]))
            )
        if equal:
            condition = And(condition, EqualTo(term=Reference(equal[0]), value=_literal(equal[1])))
        with storage.explained(self.location):
            found = self._find(table)
            tasks = _tasks(found, condition, snapshot) if found else ()
        return Relation(tuple(sorted(_path(task) for task in tasks)), dict(columns))

    def new_file(self, table: str) -> str:
        """A path that no file has, for the engine to write to."""
        namespace, name = table.split(".", 1)
        file = f"{uuid.uuid4().hex}.parquet"
        return storage.below(self.location, namespace, name, "data", file)

    def append(
        self, table: str, files: Sequence[str], properties: Mapping[str, str] | None = None
    ) -> None:
        """Add complete files in one commit; files that the table already has are left alone."""

        def commit() -> None:
            found = self._load(table)
            known = {_path(task) for task in _tasks(found, AlwaysTrue())}
            added = [file for file in files if file not in known]
            if added:
                found.add_files(added, dict(properties or {}), check_duplicate_files=False)

        if files:
            self._retried(commit)

    def replace(self, table: str, column: str, value: datetime | int, files: Sequence[str]) -> None:
        """In one commit, put `files` in the place of the rows with column == value."""

        def commit() -> None:
            found = self._load(table)
            condition = EqualTo(term=Reference(column), value=_literal(value))
            matching = {_path(task) for task in _tasks(found, condition)}
            if matching and matching == set(files):
                return
            with found.transaction() as transaction:
                if matching:
                    transaction.delete(condition)
                if files:
                    transaction.add_files(list(files), check_duplicate_files=False)

        self._retried(commit)

    def files(
        self,
        table: str,
        column: str,
        before: datetime | None = None,
        snapshot: int | None = None,
    ) -> list[StoredFile]:
        """The table's files, with the least value that each has of a column of instants.

        Those alone that may hold rows with column < `before`; of the state `snapshot`.
        """
        condition: BooleanExpression = AlwaysTrue()
        if before:
            condition = Before(term=Reference(column), value=_literal(before))
        with storage.explained(self.location):
            found = self._find(table)
            tasks = _tasks(found, condition, snapshot) if found else []
        if found is None:
            return []
        fields = found.schema().fields
        numbers = {each.name: each.field_id for each in fields}
        instants = {each.field_id: each.name for each in fields if each.field_type == _INSTANT}
        stored = []
        for task in tasks:
            bounds = task.file.lower_bounds or {}
            bound = bounds.get(numbers[column])
            highest = {
                instants[number]: _instant(upper)
                for number, upper in (task.file.upper_bounds or {}).items()
                if number in instants
            }
            # A table that began with one bucket has no partitions, but files of one bucket each
            bucket = bounds.get(numbers.get(BUCKET, -1))
            stored.append(
                StoredFile(
                    path=_path(task),
                    bytes=task.file.file_size_in_bytes,
                    partition=f"{task.file.partition} {bucket!r}",
                    lowest=_instant(bound) if bound is not None else None,
                    highest=highest,
                )
            )
        return stored

    def exchange(self, table: str, old: Sequence[str], new: Sequence[str]) -> bool:
        """In one commit, put files in the place of others that hold the same rows.

        Changes nothing and says so where the table has not all of the `old` ones any more.
        """

        def commit() -> bool:
            found = self._load(table)
            present = {_path(task): task.file for task in _tasks(found, AlwaysTrue())}
            if not set(old) <= set(present):
                return False
            with found.transaction() as transaction:
                with transaction.update_snapshot().overwrite() as snapshot:
                    for path in old:
                        snapshot.delete_data_file(present[path])
                transaction.add_files(list(new), check_duplicate_files=False)
            return True

        return self._retried(commit)

    def follow(
        self, table: str, files: Iterable[str], properties: Mapping[str, str] | None = None
    ) -> None:
        """Make the table hold exactly these files, and give it properties, in one commit."""
        wanted = set(files)

        def commit() -> None:
            found = self._load(table)
            present = {_path(task): task.file for task in _tasks(found, AlwaysTrue())}
            missing = sorted(wanted - set(present))
            extra = sorted(set(present) - wanted)
            with found.transaction() as transaction:
                if extra:
                    with transaction.update_snapshot().overwrite() as snapshot:
                        for path in extra:
                            snapshot.delete_data_file(present[path])
                if missing:
                    transaction.add_files(missing, check_duplicate_files=False)
                if properties:
                    transaction.set_properties(dict(properties))

        self._retried(commit)

    def last_commit(self, table: str) -> Mapping[str, str]:
        """The properties that the newest commit was given, with Iceberg's own counts."""
        found = self._find(table)
        snapshot = found.current_snapshot() if found else None
        if snapshot is None or snapshot.summary is None:
            return {}
        return dict(snapshot.summary.additional_properties)

    def _find(self, table: str) -> Table | None:
        try:
            with storage.explained(self.location):
                return self._catalog.load_table(table)
        except NoSuchTableError:
            return None

    def _load(self, table: str) -> Table:
        found = self._find(table)
        if found is None:
            raise TaglineError(f"the lake has no table {table}; it is made by Lake.ensure.")
        return found

    def _create(
        self,
        table: str,
        columns: Mapping[str, DataType],
        partition_by: str | None,
        properties: Mapping[str, str] | None,
    ) -> Table:
        namespace, name = table.split(".", 1)
        schema = Schema(
            *(
                NestedField(number, column, _iceberg_type(kind, 1000 + number), required=False)
                for number, (column, kind) in enumerate(columns.items(), start=1)
            )
        )
        spec = PartitionSpec()
        if partition_by:
            source = schema.find_field(partition_by).field_id
            spec = PartitionSpec(PartitionField(source, 1000, IdentityTransform(), partition_by))

        def create() -> Table:
            with suppress(NamespaceAlreadyExistsError):
                self._catalog.create_namespace(namespace)
            try:
                return self._catalog.create_table(
                    table,
                    schema,
                    location=storage.below(self.location, namespace, name),
                    partition_spec=spec,
                    properties={
                        "commit.manifest-merge.enabled": "true",
                        "write.metadata.delete-after-commit.enabled": "true",
                        "write.metadata.previous-versions-max": "20",
                        **(properties or {}),
                    },
                )
            except TableAlreadyExistsError:
                return self._load(table)

        return self._retried(create)

    def _add_columns(self, table: str, columns: Mapping[str, DataType]) -> None:
        found = self._load(table)
        present = {field.name for field in found.schema().fields}
        with found.update_schema() as update:
            for name, kind in columns.items():
                if name not in present:
                    update.add_column(name, _iceberg_type(kind, 0))

    def _retried(self, action: Callable[[], Result]) -> Result:
        """Run an action again while other processes commit to, or create, the same thing."""
        for attempt in range(_ATTEMPTS):
            try:
                with storage.explained(self.location):
                    return action()
            except (CommitFailedException, IntegrityError, ProgrammingError, ValueError) as error:
                concurrent = isinstance(error, CommitFailedException | IntegrityError) or (
                    "sequence number" in str(error) or "already exists" in str(error)
                )
                if not concurrent or attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(0.02 * 2 ** min(attempt, 6))
        raise AssertionError("unreachable")


def _tasks(
    table: Table, condition: BooleanExpression, snapshot: int | None = None
) -> list[FileScanTask]:
    return list(table.scan(row_filter=condition, snapshot_id=snapshot).plan_files())


def _path(task: FileScanTask) -> str:
    return task.file.file_path.removeprefix("file://")


def _instant(bound: bytes) -> datetime:
    return micros_to_timestamptz(int(from_bytes(_INSTANT, bound)))


def _literal(value: datetime | int) -> Literal[Any]:
    return literal(value.isoformat() if isinstance(value, datetime) else value)


def _iceberg_type(kind: DataType, element_id: int) -> IcebergType:
    if kind is DataType.TEXT_LIST:
        return ListType(element_id=element_id, element=StringType(), element_required=False)
    return _SIMPLE[kind]


def _shape(kind: IcebergType) -> str:
    return "list" if isinstance(kind, ListType) else str(kind)


def files_of_metadata(location: str) -> list[str]:
    """The data files that a table's metadata file names; nothing but files is read."""
    table = StaticTable.from_metadata(location)
    return sorted(_path(task) for task in _tasks(table, AlwaysTrue()))
