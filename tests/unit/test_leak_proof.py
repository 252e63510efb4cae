"""No value as of an instant depends on what comes at or after it, shown for every tag there is.

Generated worlds (tests/worlds.py) are stored twice: with what becomes true at or after as_of, and
without. Every tag of the catalog, model outputs and labels included, must have the same value in
both. The proof itself is tested with compilers that leak.

`TAGLINE_TEST_CASES=20000` runs that many worlds for each business; the number is printed (`-s`)
and a property of the test.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast
from unittest import mock
from zlib import crc32

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.worlds import LOADS, Operation, State, Worlds, write_state

from tagline.catalog import Catalog, Tag, load_catalog
from tagline.compile import Compiled, compile_label, compile_tags, instant, plan, rows, statistics
from tagline.compute import finish_candidate
from tagline.definitions import StatisticTag
from tagline.deployment import Deployment
from tagline.engines import Engine, open_engine
from tagline.expressions.functions import CLOCK_AND_CHANCE
from tagline.settings import PROJECT, Settings
from tagline.subjects import CUSTOMER, Subject

pytestmark = pytest.mark.slow

CASES = int(os.environ.get("TAGLINE_TEST_CASES", "1000"))  # worlds for each business
BATCH = 500  # worlds in one query, each with customers of its own
BUSINESSES = sorted(path.stem for path in (PROJECT / "include" / "businesses").glob("*.yaml"))
INSTANTS = (datetime(2017, 10, 1), datetime(2017, 3, 27), datetime(2017, 10, 30, 11, 30))  # local
KINDS = {"extraction", "statistic", "via", "pick", "list", "rank", "rule", "manual", "model"}
FLEET = PROJECT / "tests" / "fleet"  # has the kinds of tags that the businesses have not

Compiler = Callable[..., Compiled]
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

    with contextmanager(_patched)(Clock):
        yield


def _patched(clock: type) -> Iterator[None]:
    modules = [
        module for module in (instant, plan, rows, statistics) if hasattr(module, "datetime")
    ]
    patches = [mock.patch.object(module, "datetime", clock) for module in modules]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


@dataclass
class Proof:
    """Reads all values of a catalog, compiled by `compiler`, from stored worlds."""

    catalog: Catalog
    engine: Engine
    compiler: Compiler = compile_tags
    label_compiler: Compiler = compile_label
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
        """Every column of the candidate, by customer; with `models` also outputs and labels.

        The query is compiled some days after as_of.
        """
        read: dict[str, dict[str, Any]] = {}
        for subject in self.catalog.subjects:
            today = as_of + timedelta(days=days_later)
            query = self.query(as_of, known_at, today, subject)
            found = state.relations(self.catalog, query.tables, query.superseded)
            table = self.engine.fetch(query.sql, found)
            if models and subject is CUSTOMER and self.catalog.models:
                table = self._finished(table, as_of, folder)
            keys = table[subject.key].to_pylist()
            for name in table.column_names:
                read[name] = dict(zip(keys, table[name].to_pylist(), strict=True))
        for name in self.catalog.models if models else ():
            read[f"label of {name}"] = self._labels(name, state, as_of)
        return read

    def _finished(self, table: pyarrow.Table, as_of: datetime, folder: Path) -> pyarrow.Table:
        """The final candidate, with scores that are a function of the models' features."""
        candidate, target = str(folder / "candidate.parquet"), str(folder / "finished.parquet")
        pyarrow.parquet.write_table(table, candidate)
        scores = {}
        for name, model in self.catalog.models.items():
            features = table.select(list(model.features)).to_pylist()
            shares = [crc32(repr(row).encode()) / 2**32 for row in features]
            scores[name] = str(folder / f"{name}.parquet")
            scored = {
                "customer_id": table["customer_id"],
                "probability": shares,
                "class": [share > 0.5 for share in shares],
            }
            pyarrow.parquet.write_table(pyarrow.table(scored), scores[name])
        deployment = Deployment(Settings(), self.catalog, *cast(Any, (None, None)), self.engine)
        finish_candidate(deployment, as_of, candidate, scores, self.catalog.unavailable, target)
        return pyarrow.parquet.read_table(target)

    def _labels(self, name: str, state: State, end: datetime) -> dict[str, Any]:
        """A model's labels whose horizon ends at `end`."""
        model = self.catalog.models[name]
        begun = instant.Moment(self.catalog, end).before(model.horizon)
        query = self.label_compiler(self.catalog, model, begun)
        found = state.relations(self.catalog, query.tables, query.superseded)
        table = self.engine.fetch(query.sql, found)
        return dict(zip(table["customer_id"].to_pylist(), table["label"].to_pylist(), strict=True))

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
            for customer in sorted(values.keys() | others.keys()):
                pair = values.get(customer, "no row"), others.get(customer, "no row")
                if repr(pair[0]) != repr(pair[1]):
                    wrong.setdefault(name, []).append((customer, *pair))
        if wrong:
            numbers = {int(found[0].partition(".")[0]) for each in wrong.values() for found in each}
            world = min((made[number] for number in numbers), key=lambda each: len(repr(each)))
            told = [f"{name} {each}" for name, operations in world.items() for each in operations]
            raise Leaked(wrong, "a world in which they differ:\n" + "\n".join(told))


@dataclass(frozen=True)
class Batch:
    """Worlds around one as_of, and the number of a load."""

    made: Made
    worlds: Worlds
    as_of: datetime
    load: int


def batch(catalog: Catalog, size: int, local: datetime, load: int, seed: str) -> Batch:
    """Worlds around the instant that is this local time."""
    as_of = local.replace(tzinfo=catalog.zone).astimezone(UTC)
    worlds = Worlds(catalog, as_of)
    made = [worlds.make(number, f"{seed}.{number}") for number in range(size)]
    return Batch(made, worlds, as_of, load)


def prove(proof: Proof, holds: Callable[[Batch], None], cases: int) -> None:
    """Run a property on that many generated worlds, in batches."""
    proof.rounds += 1

    @settings(
        max_examples=max(2, cases // BATCH),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        local=st.sampled_from(INSTANTS),
        load=st.integers(0, len(LOADS) - 2),
        seed=st.integers(0, 2**60),
    )
    def run(local: datetime, load: int, seed: int) -> None:
        holds(batch(proof.catalog, BATCH, local, load, f"{proof.rounds}.{seed}"))

    run()


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine(Settings(threads=1))


@pytest.fixture(params=[*BUSINESSES, "grocer with mapped keys", "fleet"])
def proof(request: pytest.FixtureRequest, engine: Engine) -> Proof:
    """Each business, and one whose customers have several keys in the source."""
    business, _, mapped = str(request.param).partition(" ")
    catalog = opened(business)
    if mapped:
        definition = catalog.definition.model_copy(update={"identity": "mapped"})
        catalog = replace(catalog, definition=definition)
    return Proof(catalog, engine)


@cache
def opened(business: str) -> Catalog:
    return load_catalog(FLEET if business == "fleet" else PROJECT / "include", business)


def future_is_unseen(proof: Proof) -> Callable[[Batch], None]:
    return lambda batch: proof.future_is_unseen(batch.made, batch.worlds, batch.as_of)


def knowledge_is_reproduced(proof: Proof) -> Callable[[Batch], None]:
    return lambda batch: proof.knowledge_is_reproduced(
        batch.made, batch.worlds, batch.as_of, batch.load
    )


def test_what_comes_at_or_after_as_of_changes_no_value_of_any_tag(
    proof: Proof, record_property: Callable[[str, object], None]
) -> None:
    prove(proof, future_is_unseen(proof), CASES)
    told(proof, record_property)


def test_known_at_reproduces_every_value_as_it_was_known(
    proof: Proof, record_property: Callable[[str, object], None]
) -> None:
    prove(proof, knowledge_is_reproduced(proof), CASES // 2)
    told(proof, record_property)


def told(proof: Proof, record_property: Callable[[str, object], None]) -> None:
    print(f"{proof.worlds} worlds, {len(proof.catalog.tags)} tags of {proof.catalog.business}")
    record_property("cases", proof.worlds)


HAPPENED = r"""r\.("\w+") < (TIMESTAMPTZ '[^']*')"""
FUTURE: dict[str, tuple[str, str]] = {  # what a leaky compiler writes in the place of what
    "valid_at unbounded": (r"r\.valid_at < TIMESTAMPTZ '[^']*'", "true"),
    "valid_at at as_of": (r"r\.valid_at < ", "r.valid_at <= "),
    "until_at unbounded": (r"s\.until_at < TIMESTAMPTZ '[^']*'", "true"),
    "until_at at as_of": (r"s\.until_at < ", "s.until_at <= "),
    "since_at unbounded": (r"r\.since_at < TIMESTAMPTZ '[^']*'", "true"),
    "since_at at as_of": (r"r\.since_at < ", "r.since_at <= "),
}
EVENTS: dict[str, tuple[str, str]] = {
    "event_at unbounded": (HAPPENED, "true"),
    "event_at at as_of": (HAPPENED, r"r.\1 <= \2"),
}
KNOWLEDGE: dict[str, tuple[str, str]] = {
    "rows of later loads": (r"r\.loaded_at <= TIMESTAMPTZ '[^']*'", "true"),
    "ends of later loads": (r"(s\.)?recorded_at <= TIMESTAMPTZ '[^']*'", "true"),
    "not the load at known_at": (r"r\.loaded_at <= ", "r.loaded_at < "),
}


def leaky(compiler: Compiler, pattern: str, replacement: str) -> Compiler:
    """A compiler that writes something else for every match."""

    def compile_leaky(*arguments: Any, **options: Any) -> Compiled:
        made = compiler(*arguments, **options)
        return replace(made, sql=re.sub(pattern, replacement, made.sql))

    return compile_leaky


@pytest.fixture(params=["grocer", "fleet"])
def sound(request: pytest.FixtureRequest, engine: Engine) -> Proof:
    """Catalogs with tags of every kind."""
    return Proof(opened(request.param), engine)


def test_the_catalogs_have_tags_of_every_kind() -> None:
    tags = [tag for name in ("grocer", "fleet") for tag in opened(name).tags.values()]
    assert {kind_of(tag) for tag in tags} == KINDS


def caught(
    proof: Proof, make: Callable[[Proof], Callable[[Batch], None]], wanted: set[str]
) -> None:
    """Assert that a property fails, and that it does so for all of the tags."""
    found: set[str] = set()
    for number in range(6):
        local, load = INSTANTS[number % 3], number % (len(LOADS) - 1)
        with pytest.raises(Leaked) as leaked:
            make(proof)(batch(proof.catalog, 200, local, load, str(number)))
        found |= leaked.value.tags.keys()
        if wanted <= found:
            return
    raise AssertionError(
        f"tests/worlds.py makes no rows that move {sorted(wanted - found)}; "
        "what are their columns compared with?"
    )


def over_events(catalog: Catalog) -> set[str]:
    """The tags that are made from events, directly or not."""
    return {
        slug
        for slug in catalog.tags
        for tag in catalog.closure([slug])
        if tag.table is not None and catalog.tables[tag.table].event_at is not None
    }


@pytest.mark.parametrize("leak", FUTURE)
def test_a_compiler_that_sees_later_versions_is_caught_by_every_tag(
    sound: Proof, leak: str
) -> None:
    compilers = (leaky(each, *FUTURE[leak]) for each in (compile_tags, compile_label))
    proof = Proof(sound.catalog, sound.engine, *compilers)
    tags = set(proof.catalog.tags)
    if leak.startswith("since_at"):  # only ranks look at other customers than the tag's own
        tags = {slug for slug, tag in proof.catalog.tags.items() if kind_of(tag) == "rank"}
    labels = {f"label of {name}" for name in proof.catalog.models}
    caught(proof, future_is_unseen, tags | labels)


@pytest.mark.parametrize("leak", EVENTS)
def test_a_compiler_that_sees_later_events_is_caught_by_every_tag_over_events(
    sound: Proof, leak: str
) -> None:
    proof = Proof(sound.catalog, sound.engine, leaky(compile_tags, *EVENTS[leak]))
    tags = over_events(proof.catalog)
    caught(proof, future_is_unseen, tags)


@pytest.mark.parametrize("leak", KNOWLEDGE)
def test_a_compiler_that_ignores_known_at_is_caught_by_every_tag(sound: Proof, leak: str) -> None:
    proof = Proof(sound.catalog, sound.engine, leaky(compile_tags, *KNOWLEDGE[leak]))
    tags = {slug for slug in proof.catalog.tags if not proof.catalog.needs_model(slug)}
    caught(proof, knowledge_is_reproduced, tags)


def test_a_window_that_ends_today_is_caught_by_every_tag_with_a_window(
    sound: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    def before(_: instant.Moment, window: timedelta) -> datetime:
        return instant.datetime.now(UTC) - window

    monkeypatch.setattr(instant.Moment, "before", before)
    proof = Proof(sound.catalog, sound.engine)
    tags = {
        slug
        for slug, tag in proof.catalog.tags.items()
        if isinstance(tag.definition, StatisticTag) and tag.definition.window is not None
    }
    caught(proof, future_is_unseen, tags)


@pytest.mark.parametrize("clock", ["now()", "today()", "current_date", "random()"])
def test_a_query_that_asks_the_engine_for_the_time_or_for_chance_is_caught(
    sound: Proof, clock: str
) -> None:
    proof = Proof(sound.catalog, sound.engine, leaky(compile_tags, "TIMESTAMPTZ '[^']*'", clock))
    with pytest.raises(AssertionError, match="looks at the clock or at chance"):
        proof.query(datetime(2017, 10, 1, tzinfo=UTC), None, datetime(2017, 10, 2, tzinfo=UTC))
