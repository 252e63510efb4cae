"""No value as of an instant depends on what comes at or after it, shown for every tag there is.

Generated worlds (tests/worlds.py) are stored twice: with what becomes true at or after as_of, and
without. Every tag of the catalog, model outputs, labels and inputs included, must have the same
value in both. The proof itself is tested with compilers that leak.

`TAGLINE_TEST_CASES=20000` runs that many worlds for each business; the number is printed (`-s`)
and a property of the test.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlglot import exp
from tests.leak_proof import Compiler, Leaked, Made, Proof, kind_of
from tests.worlds import LOADS, Worlds

from tagline.catalog import Catalog, load_catalog
from tagline.compile import Compiled, compile_input, compile_label, compile_tags, instant
from tagline.definitions import StatisticTag
from tagline.definitions.models.head import LabelQuery
from tagline.engines import Engine, open_engine
from tagline.settings import PROJECT, Settings

pytestmark = pytest.mark.slow

CASES = int(os.environ.get("TAGLINE_TEST_CASES", "1000"))  # worlds for each business
BATCH = 500  # worlds in one query, each with customers of its own
BUSINESSES = sorted(path.stem for path in (PROJECT / "include" / "businesses").glob("*.yaml"))
INSTANTS = (datetime(2017, 10, 1), datetime(2017, 3, 27), datetime(2017, 10, 30, 11, 30))  # local
KINDS = {"extraction", "statistic", "via", "pick", "list", "rank", "rule", "manual", "model"}
KINDS |= {"score", "grade"}
FLEET = PROJECT / "tests" / "fleet"  # has the kinds of tags that the businesses have not


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


def knows_newcomers(catalog: Catalog, asked: LabelQuery) -> bool:
    """Whether a label does not read who is a customer, or compares since_at with as_of itself."""
    tree = catalog.labels[asked.name].tree
    compared = (each.this for each in tree.find_all(exp.LT) if isinstance(each.this, exp.Column))
    reads = {table.name for table in tree.find_all(exp.Table)}
    return "customers" not in reads or "since_at" in {column.name for column in compared}


@pytest.mark.parametrize("leak", FUTURE)
def test_a_compiler_that_sees_later_versions_is_caught_by_every_tag(
    sound: Proof, leak: str
) -> None:
    proof = Proof(
        sound.catalog,
        sound.engine,
        leaky(compile_tags, *FUTURE[leak]),
        leaky(compile_label, *FUTURE[leak]),
        leaky(compile_input, *FUTURE[leak]),
    )
    tags = set(proof.catalog.tags)
    if leak.startswith("since_at"):  # only ranks look at other customers than the tag's own
        tags = {slug for slug, tag in proof.catalog.tags.items() if kind_of(tag) == "rank"}
    models = proof.catalog.models
    labels = {
        f"label of {name}"
        for name, model in models.items()
        if model.label_query is not None
        and not (leak.startswith("since_at") and knows_newcomers(proof.catalog, model.label_query))
    }
    inputs = {
        f"input of {name}"
        for name, model in models.items()
        for query in model.input_columns
        if not leak.startswith("since_at") or "customers" in proof.catalog.input_sql(query).tables
    }
    caught(proof, future_is_unseen, tags | labels | inputs)


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
        today: datetime = vars(instant)["datetime"].now(UTC)  # the clock that the proof sets
        return today - window

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
