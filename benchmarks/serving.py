"""Profiles in process and over HTTP, audiences, and Airflow's own share of a day."""

from __future__ import annotations

import http.client
import json
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from benchmarks.deliveries import SEED, Sizes
from benchmarks.results import Line, Results, Row, clock, this_machine, today, versions
from benchmarks.shop import Shop, loaded, shop
from tagline.database import ValueReader
from tagline.deployment import Deployment, open_deployment
from tagline.registry.schema import Run
from tagline.serve.audiences import audience
from tagline.serve.profiles import ProfileReader
from tagline.serve.store import open_profile_store
from tagline.servers.airflow_api import FINISHED, AirflowApi
from tagline.servers.stack import Stack, running

_DAYS = 3  # that Airflow runs
_WARM = 200  # calls before those that are measured
_TEXTS = {
    "activity_status": ("active", "cooling", "dormant"),
    "main_channel": ("app", "market", "phone", "store", "web"),
}
_NUMBERS = {
    "recency_days": 400,
    "order_count_90d": 10,
    "order_count_total": 80,
    "order_amount_90d": 500,
    "order_amount_365d": 2000,
    "order_amount_total": 5000,
    "order_amount_max": 300,
    "discount_share_365d": 1,
    "tenure_days": 1600,
}


@dataclass(frozen=True)
class Times:
    """Calls of one kind, in milliseconds."""

    name: str
    milliseconds: tuple[float, ...]

    def at(self, per_cent: int) -> float:
        """The time that so many per cent of the calls stay within."""
        return statistics.quantiles(self.milliseconds, n=100, method="inclusive")[per_cent - 1]

    def row(self) -> Row:
        """Count, median, p95, p99 and the slowest."""
        return {
            "what": self.name,
            "calls": len(self.milliseconds),
            "p50 ms": round(self.at(50), 3),
            "p95 ms": round(self.at(95), 3),
            "p99 ms": round(self.at(99), 3),
            "slowest ms": round(max(self.milliseconds), 3),
        }


def serving(work: Path, events: int, *, calls: int = 3000, airflow: bool = True) -> Results:
    """Measure on the last day's release of one size, behind Tagline's own servers."""
    sizes = Sizes(events)
    with shop(work / f"serving-{events}", sizes) as opened:
        loaded(opened, until=sizes.days - _DAYS)
        times: list[Times] = []
        days: list[Row] = []
        if airflow:
            with running(opened.settings, _say) as stack, open_deployment(opened.settings) as made:
                days = [_day(stack, made, number, sizes) for number in _last(sizes)]
                times += _over_http(stack, sizes, calls)
        with open_deployment(opened.settings) as deployment:
            times = [*_in_process(deployment, sizes, calls), *times]
            for each in times:
                print(each.row(), flush=True)
            audiences = _audiences(deployment)
    return _results(opened, times, audiences, days)


def _say(text: str) -> None:
    print(text, flush=True)


def _last(sizes: Sizes) -> range:
    return range(sizes.days - _DAYS + 1, sizes.days + 1)


def _timed(name: str, number: int, call: Callable[[int], object]) -> Times:
    for each in range(_WARM):
        call(each)
    found = []
    for each in range(number):
        started = time.perf_counter()
        call(each)
        found.append((time.perf_counter() - started) * 1000)
    return Times(name, tuple(found))


def _customers(sizes: Sizes, number: int) -> list[str]:
    chance = random.Random(sizes.seed)
    return [str(chance.randrange(sizes.customers)) for _ in range(number)]


def _in_process(deployment: Deployment, sizes: Sizes, calls: int) -> list[Times]:
    customers = _customers(sizes, calls)
    with open_profile_store(deployment.settings) as store:
        reader, at, asked = ProfileReader(deployment, store), clock(), ValueReader(store.engine.url)
        return [
            _timed(
                "profile in process",
                calls,
                lambda each: reader.profile(customers[each % calls], None, at),
            ),
            _timed(
                "`select 1` to PostgreSQL in process",
                calls,
                lambda _: asked.value("select 1"),
            ),
        ]


def _over_http(stack: Stack, sizes: Sizes, calls: int) -> list[Times]:
    customers = _customers(sizes, calls)
    parts = urlsplit(stack.airflow.url)
    assert parts.hostname is not None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    headers = {"Authorization": f"Bearer {_token(stack.airflow)}"}

    def get(path: str) -> dict[str, Any]:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise SystemExit(f"{path}: {answer.status} {body[:200]!r}")
        found: dict[str, Any] = json.loads(body)
        return found

    try:
        first = get(f"/tagline/api/profile?customer_id={customers[0]}")
        assert len(first["tags"]) == 20, f"a profile has {len(first['tags'])} tags"
        return [
            _timed(
                "profile over HTTP",
                calls,
                lambda each: get(f"/tagline/api/profile?customer_id={customers[each % calls]}"),
            ),
            _timed("who is signed in, over HTTP", calls, lambda _: get("/tagline/api/session")),
            _timed("Airflow's own version over HTTP", calls, lambda _: get("/api/v2/version")),
        ]
    finally:
        connection.close()


def _token(airflow: AirflowApi) -> str:
    import requests

    name, password = airflow.login()
    answer = requests.post(
        f"{airflow.url}/auth/token", json={"username": name, "password": password}, timeout=30
    )
    answer.raise_for_status()
    token: str = answer.json()["access_token"]
    return token


def _day(stack: Stack, deployment: Deployment, number: int, sizes: Sizes) -> Row:
    """One day run by Airflow: its seconds, and those that the stages worked."""
    as_of, airflow = sizes.start_of(number), stack.airflow
    airflow.unpause("customer_tags")
    run_id = airflow.trigger("customer_tags", {"as_of": f"{as_of:%Y-%m-%d}"})
    while (found := airflow.run("customer_tags", run_id))["state"] not in FINISHED:
        stack.supervisor.watch()
        time.sleep(0.5)
    if found["state"] != "success":
        raise SystemExit(f"Airflow's run of {as_of:%Y-%m-%d} ended as {found['state']}")
    began, ended = (datetime.fromisoformat(found[name]) for name in ("start_date", "end_date"))
    whole, worked = (ended - began).total_seconds(), _worked(deployment, as_of)
    row: Row = {
        "day": f"{as_of:%Y-%m-%d}",
        "DAG run": round(whole, 1),
        "stages": round(worked, 1),
        "Airflow's own": round(whole - worked, 1),
    }
    print(row, flush=True)
    return row


def _worked(deployment: Deployment, as_of: datetime) -> float:
    """Seconds of the day's stages; of tables that were done side by side the longest."""
    with deployment.registry.session() as session:
        run = session.scalars(
            select(Run).where(Run.as_of == as_of).order_by(Run.started_at.desc()).limit(1)
        ).one()
        seconds = dict(run.seconds)
        for stage in ("extract", "clean"):
            tables = run.stages[stage]["tables"].values()
            seconds[stage] = max((table["seconds"] for table in tables), default=0.0)
    return float(sum(seconds.values()))


def _audiences(deployment: Deployment) -> list[Times]:
    """A hundred random conditions of each kind, each after a warming call of its own."""
    chance = random.Random(SEED)
    kinds = {
        "audience by boolean and text tags": [_of_texts(chance) for _ in range(100)],
        "audience by numbers": [_of_numbers(chance) for _ in range(100)],
    }
    made = []
    for name, expressions in kinds.items():
        for expression in expressions[:5]:
            audience(deployment, expression)
        times = [audience(deployment, each)["milliseconds"] for each in expressions]
        made.append(Times(name, tuple(times)))
        print(made[-1].row(), flush=True)
    return made


def _of_texts(chance: random.Random) -> str:
    tag = chance.choice(sorted(_TEXTS))
    values = chance.sample(_TEXTS[tag], k=chance.randint(1, 2))
    listed = ", ".join(f"'{value}'" for value in values)
    word = chance.choice(["and", "or", "and not"])
    return f"{tag} in ({listed}) {word} is_valuable"


def _of_numbers(chance: random.Random) -> str:
    parts = []
    for tag in chance.sample(sorted(_NUMBERS), k=2):
        limit = round(chance.random() * _NUMBERS[tag], 2)
        parts.append(f"{tag} {chance.choice(['>', '<='])} {limit}")
    return f" {chance.choice(['and', 'or'])} ".join(parts)


def _results(
    opened: Shop, times: Sequence[Times], audiences: Sequence[Times], days: Sequence[Row]
) -> Results:
    by_name = {each.name: each for each in times}
    lines = [
        Line(
            key="profile_in_process",
            what="one profile in process, p99",
            measured=round(by_name["profile in process"].at(99), 3),
            unit="ms",
            target=0.3,
        )
    ]
    if days:
        lines += [
            Line(
                key="profile_over_http",
                what="one profile over HTTP, behind Airflow's authentication, p99",
                measured=round(by_name["profile over HTTP"].at(99), 3),
                unit="ms",
                target=3.0,
            ),
            Line(
                key="airflow_share",
                what=f"Airflow's own share of a daily run, the longest of {len(days)} days",
                measured=max(float(row["Airflow's own"] or 0) for row in days),
                unit="s",
                target=20.0,
            ),
        ]
    lines += [
        Line(
            key="audience_" + str(number),
            what=f"an {each.name}, {opened.sizes.customers:,} customers, p95 (target is of later)",
            measured=round(each.at(95), 2),
            unit="ms",
        )
        for number, each in enumerate(audiences)
    ]
    made = Results(
        name=f"serving-{opened.sizes.events}",
        title=f"Serving, {opened.sizes.customers:,} customers",
        description=(
            "Profiles of random customers, 20 tags with their reasons, one after the other by "
            "one client after a warm-up; over HTTP through the portal inside Airflow's API "
            "server, on a kept connection. For comparison: the shortest round trips of the same "
            "kind. Days run by Airflow (LocalExecutor): what is left of the DAG run without the "
            "seconds that the stages worked is Airflow's own, the start of each task included."
        ),
        command=f"python -m benchmarks serving --events {opened.sizes.events}",
        measured_on=today(),
        seed=SEED,
        sizes={"events": opened.sizes.events, "customers": opened.sizes.customers, "tags": 20},
        machine=this_machine(),
        versions=versions(),
        lines=tuple(lines),
        tables={
            "Calls": tuple(each.row() for each in (*times, *audiences)),
            "Days run by Airflow, seconds": tuple(days),
        },
    )
    made.save()
    return made
