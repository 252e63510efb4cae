"""The proof that no value depends on what comes later: reads stored worlds by compiled queries."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from unittest import mock
from zlib import crc32

import pyarrow
import pyarrow.parquet
from tests.stored_worlds import ARROW, State, write_state
from tests.worlds import LOADS, Operation, Worlds

from tagline.catalog import Catalog, Tag
from tagline.compile import Compiled, compile_input, compile_label, compile_tags, instant
from tagline.compile.previous import previous_table
from tagline.compute import finish_candidate
from tagline.definitions import AnyModel, DataType, GradeTag, StatisticTag
from tagline.deployment import Deployment
from tagline.engines import Engine, Relation
from tagline.expressions.functions import CLOCK_AND_CHANCE
from tagline.settings import Settings
from tagline.subjects import CUSTOMER, SUBJECTS, Subject
from tagline.training.inputs import tags_read

Compiler = Callable[..., Compiled]
_OUTPUTS: Mapping[DataType, Callable[[float], Any]] = {
    DataType.NUMBER: lambda share: share,
    DataType.INTEGER: lambda share: int(share * 2**32),
    DataType.BOOLEAN: lambda share: share > 0.5,
    DataType.TEXT: str,
    DataType.TEXT_LIST: lambda share: [str(share)],
}
Made = list[dict[str, list[Operation]]]


class Leaked(AssertionError):
    """Values that differ though they must not, by tag: world, customer and both values."""

    def __init__(self, tags: Mapping[str, list[tuple[str, Any, Any]]], story: str) -> None:
        self.tags = tags
        shown = [f"{slug}: {found[:3]}" for slug, found in sorted(tags.items())[:12]]
        super().__init__("\n".join([f"{len(tags)} tags differ", *shown, story]))


def kind_of(tag: Tag) -> str:
    """The kind of a tag; of statistics also whether they pick or list groups."""
    if isinstance(tag.definition, StatisticTag) and tag.meaning.pick is not None:
        return "pick" if tag.meaning.pick_count is None else "list"
    return "via" if tag.via else tag.definition.kind


@contextmanager
def clock_says(at: datetime) -> Iterator[None]:
    """Let the compiler believe that it is this instant."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return at.astimezone(tz)

        @classmethod
        def utcnow(cls) -> Any:
            return at.replace(tzinfo=None)

    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("tagline.compile") and hasattr(module, "datetime"):
                stack.enter_context(mock.patch.object(module, "datetime", Clock))
        yield


def _one_row_each(table: pyarrow.Table, key: str) -> pyarrow.Table:
    """The last row of each key: a leaky query may return several, and joins would multiply them."""
    last = {found: number for number, found in enumerate(table[key].to_pylist())}
    return table.take(pyarrow.array(sorted(last.values()), pyarrow.int64()))


def _released_before(
    catalog: Catalog,
    query: Compiled,
    found: Mapping[str, Relation],
    as_of: datetime,
    folder: Path,
) -> dict[str, Relation]:
    """A release before as_of for what reads one: values that follow from each key alone."""
    made = {}
    for name, columns in query.previous.items():
        subject = SUBJECTS[name]
        stored = pyarrow.parquet.read_table(found[subject.table].files[0], columns=[subject.key])
        keys = sorted(set(stored[subject.key].to_pylist()))
        rows = [
            {subject.key: key}
            | {
                slug: _earlier(catalog.tag(slug), kind, as_of, crc32(f"{key} {slug}".encode()))
                for slug, kind in columns.items()
                if slug != subject.key
            }
            for key in keys
            if crc32(key.encode()) % 5  # some were not there
        ]
        path = folder / f"{name}-released-before.parquet"
        schema = pyarrow.schema([(slug, ARROW[kind]) for slug, kind in columns.items()])
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema), path)
        made[previous_table(subject)] = Relation((str(path),), columns)
    return made


def _earlier(tag: Tag, kind: DataType, as_of: datetime, chance: int) -> Any:
    """A value that a tag may have had."""
    if kind is DataType.DATE:
        return as_of.date() - timedelta(days=chance % 60)
    if kind is DataType.TEXT_LIST:
        return [f"tag_{chance % 3}"]
    assert kind is DataType.TEXT, "make such a value here"
    graded = tag.definition
    known = [each.grade for each in graded.grades] if isinstance(graded, GradeTag) else []
    return (known or ["a"])[chance % len(known or ["a"])] if chance % 3 else None


@dataclass
class Proof:
    """Reads all values of a catalog, compiled by `compiler`, from stored worlds."""

    catalog: Catalog
    engine: Engine
    compiler: Compiler = compile_tags
    label_compiler: Compiler = compile_label
    input_compiler: Compiler = compile_input
    worlds: int = 0  # read so far
    rounds: int = 0  # each has worlds of its own
    compiled: dict[tuple[Any, ...], Compiled] = field(default_factory=dict)

    def query(
        self,
        as_of: datetime,
        known_at: datetime | None,
        today: datetime,
        subject: Subject = CUSTOMER,
    ) -> Compiled:
        """The query of all tags of a subject, compiled on some day."""
        place = as_of, known_at, today, subject
        if place not in self.compiled:
            changed = frozenset(set(self.catalog.tables) - set(self.catalog.derived))
            with clock_says(today):
                made = self.compiler(
                    self.catalog, as_of, known_at=known_at, changed=changed, subject=subject
                )
            called = set(re.findall(r"\w+", re.sub(r"'[^']*'", "", made.sql.lower())))
            assert not called & CLOCK_AND_CHANCE, "the query looks at the clock or at chance"
            self.compiled[place] = made
        return self.compiled[place]

    def values(
        self,
        state: State,
        as_of: datetime,
        folder: Path,
        known_at: datetime | None = None,
        days_later: int = 1,
        models: bool = True,
    ) -> dict[str, dict[str, Any]]:
        """Every column of the candidate, by customer; with `models` also what they say and read.

        The query is compiled some days after as_of.
        """
        read: dict[str, dict[str, Any]] = {}
        for subject in self.catalog.subjects:
            today = as_of + timedelta(days=days_later)
            query = self.query(as_of, known_at, today, subject)
            found = state.relations(self.catalog, query.tables, query.superseded)
            found |= _released_before(self.catalog, query, found, as_of, folder)
            table = _one_row_each(self.engine.fetch(query.sql, found), subject.key)
            learnt = any(map(self.catalog.needs_model, self.catalog.tags_of(subject)))
            if models and learnt:
                inputs = {
                    name: self._inputs(model, state, as_of, subject)
                    for name, model in self._models_of(subject).items()
                    if model.input_columns
                }
                read |= {f"input of {name}": dict(rows) for name, rows in inputs.items()}
                table = self._finished(table, inputs, as_of, folder, subject)
            keys = table[subject.key].to_pylist()
            for name in table.column_names:
                read[name] = dict(zip(keys, table[name].to_pylist(), strict=True))
        for name, model in self.catalog.models.items() if models else ():
            if model.label_query is not None:
                read[f"label of {name}"] = self._labels(model, state, as_of)
        return read

    def _models_of(self, subject: Subject) -> dict[str, AnyModel]:
        models = self.catalog.models.items()
        return {name: model for name, model in models if model.subject == subject.name}

    def _finished(
        self,
        table: pyarrow.Table,
        inputs: Mapping[str, Mapping[str, Any]],
        as_of: datetime,
        folder: Path,
        subject: Subject,
    ) -> pyarrow.Table:
        """The final candidate, with scores that are a function of all that the models read."""
        candidate, target = str(folder / "candidate.parquet"), str(folder / "finished.parquet")
        pyarrow.parquet.write_table(table, candidate)
        scores = {}
        keys = table[subject.key].to_pylist()
        for name, model in self._models_of(subject).items():
            tags = table.select(list(tags_read(self.catalog, model))).to_pylist()
            rows = [inputs.get(name, {}).get(key) for key in keys]
            shares = [crc32(repr(row).encode()) / 2**32 for row in zip(tags, rows, strict=True)]
            scores[name] = str(folder / f"{name}.parquet")
            scored = {
                output: [_OUTPUTS[type_](share) for share in shares]
                for output, type_ in model.outputs.items()
            }
            made = pyarrow.table({subject.key: keys, **scored})
            pyarrow.parquet.write_table(made, scores[name])
        nothing = cast(Any, None)
        deployment = Deployment(Settings(), self.catalog, nothing, nothing, self.engine)
        missing = self.catalog.unavailable
        finish_candidate(deployment, as_of, candidate, scores, missing, target, subject)
        return pyarrow.parquet.read_table(target)

    def _inputs(
        self, model: AnyModel, state: State, as_of: datetime, subject: Subject
    ) -> dict[str, Any]:
        """The rows of a model's input queries as of the instant, by the subject's key."""
        read: dict[str, Any] = {}
        for name, columns in model.input_columns.items():
            query = self.input_compiler(self.catalog, name, columns, as_of, subject)
            found = state.relations(self.catalog, query.tables, query.superseded)
            for row in sorted(self.engine.fetch(query.sql, found).to_pylist(), key=repr):
                read.setdefault(row.pop(subject.key), []).append((name, row))
        return read

    def _labels(self, model: AnyModel, state: State, end: datetime) -> dict[str, Any]:
        """A model's labels whose horizon ends at `end`, by the subject's key."""
        asked, subject = model.label_query, SUBJECTS[model.subject]
        assert asked is not None
        begun = instant.Moment(self.catalog, end).before(asked.horizon)
        query = self.label_compiler(self.catalog, asked, begun, subject)
        found = state.relations(self.catalog, query.tables, query.superseded)
        table = self.engine.fetch(query.sql, found)
        values = zip(*(table[column].to_pylist() for column in asked.columns), strict=True)
        return dict(zip(table[subject.key].to_pylist(), values, strict=True))

    def future_is_unseen(self, made: Made, worlds: Worlds, as_of: datetime) -> None:
        """Raise Leaked where versions of the future, or another day's clock, change a value."""
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            without = write_state(worlds, made, folder / "without", lambda each: not each.is_future)
            having = write_state(worlds, made, folder / "having", lambda _: True)
            before = self.values(without, as_of, folder)
            after = self.values(having, as_of, folder, days_later=40)
        self.worlds += len(made)
        self._equal(before, after, made)

    def knowledge_is_reproduced(
        self, made: Made, worlds: Worlds, as_of: datetime, load: int
    ) -> None:
        """Raise Leaked where known_at gives other values than the loads up to it alone."""
        known_at = as_of + timedelta(microseconds=LOADS[load])
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            then = write_state(worlds, made, folder / "then", lambda each: each.load <= load)
            now = write_state(worlds, made, folder / "now", lambda _: True)
            known = self.values(then, as_of, folder, models=False)
            reproduced = self.values(now, as_of, folder, known_at, models=False)
        self.worlds += len(made)
        self._equal(known, reproduced, made)

    @staticmethod
    def _equal(
        before: Mapping[str, Mapping[str, Any]], after: Mapping[str, Mapping[str, Any]], made: Made
    ) -> None:
        assert before.keys() == after.keys()
        wrong: dict[str, list[tuple[str, Any, Any]]] = {}
        for name, values in before.items():
            others = after[name]
            if repr(values) == repr(others):
                continue
            for customer in sorted(values.keys() | others.keys(), key=str):
                pair = values.get(customer, "no row"), others.get(customer, "no row")
                if repr(pair[0]) != repr(pair[1]):
                    wrong.setdefault(name, []).append((customer, *pair))
        if wrong:
            numbers = {int(found[0].partition(".")[0]) for each in wrong.values() for found in each}
            world = min((made[number] for number in numbers), key=lambda each: len(repr(each)))
            told = [f"{name} {each}" for name, operations in world.items() for each in operations]
            raise Leaked(wrong, "a world in which they differ:\n" + "\n".join(told))
