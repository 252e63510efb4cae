"""Daily runs killed at random instants, each run again, and a reader all the while.

`TAGLINE_TEST_KILLS=100` kills a hundred times, which takes minutes, and with
`TAGLINE_TEST_KILLS_IN_A_ROW=1` each time on a day of its own. The seed is printed (`-s`), and
`TAGLINE_TEST_SEED` repeats it.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.conftest import drop_databases
from tests.system.children import Answers, children, read_once, start_reader, start_run
from tests.system.small_grocer import LOADED_AT, small_grocer

from tagline import quarantine
from tagline.deployment import Deployment, open_deployment
from tagline.engines import Relation
from tagline.pipeline import STAGES, run_day
from tagline.registry.schema import LakePublication
from tagline.serve.exports import export
from tagline.serve.profiles import ProfileReader
from tagline.serve.released import file_columns, files_of
from tagline.serve.store import open_profile_store
from tagline.settings import Settings
from tagline.versions import entry_columns, row_columns

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
KILLS = int(os.environ.get("TAGLINE_TEST_KILLS", "16"))
IN_A_ROW = int(os.environ.get("TAGLINE_TEST_KILLS_IN_A_ROW", "4"))  # of one day's runs
TURNS = (*STAGES[::2], *STAGES[1::2])
SEED = int(os.environ.get("TAGLINE_TEST_SEED", str(random.SystemRandom().randrange(10**6))))
FIRST = datetime(2017, 9, 1, tzinfo=UTC)
CUSTOMERS = 12  # that the reader asks for by turns


@dataclass
class Killed:
    """A deployment whose runs were killed, and what happened."""

    deployment: Deployment
    steady: Deployment
    days: list[datetime] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    answers: Answers = field(default_factory=lambda: Answers({}, set(), [], []))

    def unhit(self) -> set[str]:
        """The stages that no kill hit."""
        return set(STAGES) - set(self.kills)


@contextmanager
def opened(settings: Settings) -> Iterator[Deployment]:
    """A deployment whose databases are dropped in the end."""
    try:
        with open_deployment(settings) as deployment:
            yield deployment
    finally:
        drop_databases(settings)


@pytest.fixture(scope="module")
def killed(postgres_url: str) -> Iterator[Killed]:
    """Kills spread over the stages, each followed by a run of the same day.

    A day's runs are killed one after the other, each in one of the stages that were hit least;
    then one may end.
    """
    folder = Path(tempfile.mkdtemp(prefix="tlk", dir="/tmp"))
    shop = small_grocer(folder / "shop")
    steady = shop.open("steady", folder / "steady" / "home", postgres_url)
    struck = shop.open("struck", folder / "struck" / "home", postgres_url)
    chance, aimed, context = random.Random(SEED), Counter[str](), children()
    print(f"seed {SEED}")
    try:
        with opened(steady) as undisturbed, opened(struck) as deployment:
            found = Killed(deployment, undisturbed)
            began = time.monotonic()
            run_day(undisturbed, FIRST, "steady-0", lambda: LOADED_AT)
            seconds = run_day(deployment, FIRST, "struck-0", lambda: LOADED_AT).seconds
            customers = sorted(_customers(undisturbed))[:: max(1, 200 // CUSTOMERS)]
            reader = start_reader(context, struck, customers)
            as_of = FIRST
            while found.kills.total() < KILLS or (found.unhit() and len(found.days) < KILLS):
                as_of += timedelta(days=1)
                for stage in sorted(TURNS, key=lambda each: found.kills[each])[:IN_A_ROW]:
                    run = start_run(context, struck, as_of, _attempt(as_of, chance))
                    run.wait_for(stage)
                    missed = 0 if found.kills[stage] else aimed[stage]  # it may be over in no time
                    time.sleep(chance.random() * seconds[stage] * 0.5**missed)
                    aimed[stage] += 1
                    if run.kill():
                        found.kills[run.stage or "start"] += 1
                    else:
                        found.missed += 1
                code, said = start_run(context, struck, as_of, _attempt(as_of, chance)).end()
                assert code == 0, f"seed {SEED}, {as_of:%Y-%m-%d}: {said}"
                made = run_day(undisturbed, as_of, f"steady-{as_of:%m%d}", lambda: LOADED_AT)
                seconds = {s: (seconds[s] + made.seconds[s]) / 2 for s in STAGES}
                found.days.append(as_of)
                print(
                    f"{as_of:%m-%d} {time.monotonic() - began:.0f} s {dict(found.kills)}",
                    flush=True,
                )
            found.answers = reader.stop()
            print(f"{found.kills.total()} kills in {time.monotonic() - began:.0f} s")
            print(f"kills {dict(found.kills)}, missed {found.missed}")
            print(f"reads {found.answers.counts}", flush=True)
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _attempt(as_of: datetime, chance: random.Random) -> str:
    """The id of an attempt: a day's own, as in Airflow's retries, or a new one as by hand."""
    own = f"struck-{as_of:%m%d}"
    return own if chance.random() < 0.5 else f"{own}-{chance.randrange(10**6)}"


def _customers(deployment: Deployment) -> list[str]:
    release = deployment.registry.live()
    assert release is not None
    files = files_of(release)
    found = deployment.engine.fetch(
        "SELECT customer_id FROM t", {"t": Relation(files, file_columns(files[0]))}
    )
    return [str(each) for each in found.column("customer_id").to_pylist()]


def test_every_stage_was_hit(killed: Killed) -> None:
    assert killed.kills.total() >= KILLS
    assert not killed.unhit(), killed.kills


def test_each_rerun_released_the_same_values_as_a_run_that_nothing_disturbed(
    killed: Killed, tmp_path: Path
) -> None:
    for as_of in killed.days:
        paths = [str(tmp_path / f"{each}.parquet") for each in ("struck", "steady")]
        for deployment, path in zip((killed.deployment, killed.steady), paths, strict=True):
            export(deployment, path, as_of)
        columns = file_columns(paths[1])
        assert columns == file_columns(paths[0])
        assert _different(killed.deployment, Relation((paths[0],), columns), paths[1]) == 0, as_of
        file_columns.cache_clear()  # the next day's files have the same names
    assert len(killed.days) >= KILLS / IN_A_ROW


def _different(deployment: Deployment, one: Relation, path: str) -> int:
    other = Relation((path,), one.columns)
    return _rows_apart(deployment, one, other, ", ".join(one.columns))


def _rows_apart(deployment: Deployment, one: Relation, other: Relation, columns: str) -> int:
    """How many rows of either relation the other does not have as often."""
    parts = (f"SELECT {columns} FROM one", f"SELECT {columns} FROM other")
    apart = " UNION ALL ".join(
        f"(SELECT * FROM ({a}) EXCEPT ALL SELECT * FROM ({b}))" for a, b in (parts, parts[::-1])
    )
    made = deployment.engine.fetch(
        f"SELECT count(*) AS n FROM ({apart})", {"one": one, "other": other}
    )
    return int(made.column("n")[0].as_py())


def test_a_reader_saw_one_whole_release_each_time(killed: Killed) -> None:
    told = killed.answers
    assert told.faults == []
    assert sum(told.counts.values()) > 10 * KILLS
    assert told.steps == sorted(set(told.steps)), "the live release went back"
    assert told.steps[-1] == killed.days[-1].isoformat()
    with open_profile_store(killed.steady.settings) as store:
        reader = ProfileReader(killed.steady, store)
        for answer in sorted(told.answers):
            kind, as_of, about, _ = answer
            instant = datetime.fromisoformat(as_of)
            if about == "changing":  # a release came while an audience was asked: either is right
                expected = [
                    read_once(killed.steady, reader, kind, "", each)[3]
                    for each in (instant, _next(killed, instant))
                ]
                assert answer[3] in expected, answer
            else:
                assert answer == read_once(killed.steady, reader, kind, about, instant)


def _next(killed: Killed, as_of: datetime) -> datetime:
    return next(day for day in killed.days if day > as_of)


def test_the_clean_tables_hold_the_same_rows_and_versions(killed: Killed) -> None:
    for table in ("customers", "orders", "order_lines"):
        definition = killed.steady.catalog.tables[table]
        for name, columns in (
            (f"clean.{table}", row_columns(definition)),
            (f"clean.{table}__superseded", entry_columns(definition)),
        ):
            kept = {each: kind for each, kind in columns.items() if each != "_source"}
            one = killed.deployment.lake.relation(name, kept)
            other = killed.steady.lake.relation(name, kept)
            assert _rows_apart(killed.steady, one, other, ", ".join(kept)) == 0, name


def test_quarantine_holds_each_refused_row_once(killed: Killed) -> None:
    found = quarantine.counts(killed.deployment)
    assert found == quarantine.counts(killed.steady)
    assert sum(found["order_lines"].values()) > 100


def test_the_table_of_other_engines_follows_the_releases(killed: Killed) -> None:
    registry, lake = killed.deployment.registry, killed.deployment.lake
    active = {each.as_of: each for each in registry.releases() if each.status == "active"}
    assert sorted(active) == [FIRST, *killed.days]
    with registry.session() as session:
        shown = {each.as_of: each.release_id for each in session.query(LakePublication)}
    assert shown == {as_of: release.id for as_of, release in active.items()}
    in_lake = set(lake.relation("tags.customers", {}).files)
    assert in_lake == {file for release in active.values() for file in files_of(release)}
