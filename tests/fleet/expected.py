"""The fleet's data, made with a seed, and its tags once more, in plain pandas."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

BEGIN = datetime(2026, 1, 1)  # local times of the business, in which its files are written
CUSTOMERS = 12
MACHINES = 30


@dataclass(frozen=True, eq=False)
class Fleet:
    """The source's tables; a customer has one or two keys in them."""

    people: pd.DataFrame
    sales: pd.DataFrame
    reports: pd.DataFrame
    stages: pd.DataFrame
    judgements: pd.DataFrame

    def write(self, folder: Path) -> None:
        """The tables as CSV files."""
        folder.mkdir(parents=True)
        for name in ("people", "sales", "reports", "stages", "judgements"):
            getattr(self, name).to_csv(folder / f"{name}.csv", index=False)


def fleet(seed: int = 7) -> Fleet:
    """Three months of a small fleet."""
    chance = random.Random(seed)

    def at(first: int, last: int) -> datetime:
        return BEGIN + timedelta(hours=chance.randrange(24 * first, 24 * last))

    people = [
        {"customer": f"C{n:02}", "keys": f"{key}{n}", "since": at(-30, 75 if n > 9 else 1)}
        for n in range(CUSTOMERS)
        for key in (("a", "b") if n % 3 == 0 else ("a",))
    ]
    since = {row["customer"]: row["since"] for row in people}
    people = [row | {"since": since[row["customer"]]} for row in people]
    keys = [row["keys"] for row in people]
    sales: list[dict[str, Any]] = []
    for n in range(MACHINES):
        built = at(-20, 70 if n > 24 else 5)
        row = {"machine": f"M{n:02}", "model": f"M{1 + n % 3}", "built": built}
        moments = sorted({built, *(at(0, 85) for _ in range(n % 4))})
        sales += [
            row | {"owner": None if chance.random() < 0.1 else chance.choice(keys), "sold": moment}
            for moment in moments
            if moment >= built
        ]
    reports = [
        {
            "machine": f"M{n:02}",
            "reported": BEGIN + timedelta(days=day, hours=18 if n % 2 else 0),
            "hours": chance.randrange(0, 40) / 4 if n % 5 else 0.25,
            "faults": int(chance.random() < 0.2),
            "site": chance.choice(["north", "south", None]),
        }
        for n in range(MACHINES)
        for day in range(1, 89)
        if chance.random() < 0.8 or n == 0
    ]
    for sale in sales:  # some machines report in the very instant of their sale
        if sale["machine"] in ("M01", "M06") and sale["sold"] > BEGIN:
            reports.append(
                {"machine": sale["machine"], "reported": sale["sold"], "hours": 100.0,
                 "faults": 3, "site": "gate"}
            )  # fmt: skip
    stages = []
    for n in range(25):
        opened = at(0, 80)
        row = {"opportunity": f"O{n:02}", "customer": chance.choice(keys), "opened": opened}
        row |= {"amount": chance.randrange(1, 100) * 10.0}
        stages.append(row | {"stage": "open", "since": opened})
        if n % 2:
            closed = opened + timedelta(days=chance.randrange(1, 60))
            stages.append(row | {"stage": chance.choice(["won", "lost"]), "since": closed})
    judgements = [
        {
            "id": f"J{n:03}",
            "customer": chance.choice(keys),
            "question": question,
            "answer": chance.choice(answers),
            "judge": chance.choice(["ann", "bob", "eve"]),
            "judged": at(0, 85),
        }
        for question, answers in (
            ("key_account", ["true", "true", "false", None]),
            ("mood", ["glad", "calm", "angry", "hungry"]),
        )
        for n in range(500 if question == "mood" else 0, 560 if question == "mood" else 60)
    ]
    tables = (people, sales, reports, stages, judgements)
    return Fleet(*(pd.DataFrame(rows) for rows in tables))


def held(versions: pd.DataFrame, key: str, moment: str, before: datetime) -> pd.DataFrame:
    """The latest version of each key with its moment before an instant."""
    known = versions[versions[moment] < before].sort_values(moment)
    return known.drop_duplicates(key, keep="last").set_index(key)


@cache
def expected(data: Fleet, as_of: datetime) -> dict[str, dict[str, dict[str, Any]]]:
    """Per subject and key the tags as of a local time, made by their definitions' words."""
    customer = dict(zip(data.people["keys"], data.people["customer"], strict=True))
    machines = held(data.sales, "machine", "sold", as_of)
    machines = machines[machines["built"] < as_of].sort_index()
    reports = data.reports[data.reports["reported"] < as_of]
    recent = reports["reported"] >= as_of - timedelta(days=30)  # no clock changes in Shanghai
    sales: dict[str, list[tuple[datetime, Any]]] = {}
    for sale in data.sales.sort_values("sold").to_dict("records"):
        sales.setdefault(str(sale["machine"]), []).append((sale["sold"], sale["owner"]))
    owners: list[str | None] = []
    for machine, reported in zip(reports["machine"], reports["reported"], strict=True):
        had = [owner for sold, owner in sales[machine] if sold <= reported]
        owners.append(customer.get(had[-1]) if had else None)
    reports = reports.assign(owner=pd.Series(owners, reports.index, dtype=object), recent=recent)
    of_machines: dict[str, dict[str, Any]] = {}
    for machine, row in machines.iterrows():
        mine = reports[reports["machine"] == machine]
        of_machines[str(machine)] = {
            "machine_hours_30d": mine[mine["recent"]]["hours"].sum(),
            "machine_fault_count": mine["faults"].sum(),
            "machine_model": row["model"],
            "main_site": leading(mine),
        }
    for tags in of_machines.values():
        tags["is_idle"] = tags["machine_hours_30d"] < 20
        same = sorted(
            other["machine_hours_30d"]
            for other in of_machines.values()
            if other["machine_model"] == tags["machine_model"]
        )
        cuts = [same[max(0, math.ceil(len(same) * share) - 1)] for share in (1 / 3, 2 / 3)]
        tags["machine_hours_rank"] = 1 + sum(tags["machine_hours_30d"] > cut for cut in cuts)
    opportunities = held(data.stages, "opportunity", "since", as_of)
    of_opportunities = {
        str(name): {
            "opportunity_age_days": (as_of.date() - row["opened"].date()).days,
            "opportunity_stage": row["stage"],
            "is_stale": (as_of.date() - row["opened"].date()).days > 30 and row["stage"] == "open",
        }
        for name, row in opportunities.iterrows()
    }
    of_customers: dict[str, dict[str, Any]] = {}
    for name, since in zip(data.people["customer"], data.people["since"], strict=True):
        if since >= as_of:
            continue
        mine = reports[reports["owner"] == name]
        owned = [
            (of_machines[str(machine)], row["model"])
            for machine, row in machines.iterrows()
            if customer.get(row["owner"]) == name
        ]
        stale = [
            row["amount"]
            for key, row in opportunities.iterrows()
            if customer[row["customer"]] == name and of_opportunities[str(key)]["is_stale"]
        ]
        models = machines["model"].reindex(mine["machine"]).to_numpy()
        hours = [tags["machine_hours_30d"] for tags, model in owned if model != "M3"]
        idle = sum(tags["is_idle"] for tags, _ in owned)
        said = [customer[key] for key in data.judgements["customer"]]
        judged = data.judgements[[each == name for each in said]]
        of_customers[name] = {
            "owned_hours_total": mine["hours"].sum(),
            "owned_faults_30d": mine[mine["recent"] & (models != "M3")]["faults"].sum(),
            "owned_site": leading(mine),
            "idle_machine_count": idle,
            "best_machine_hours": max(hours, default=None),
            "stale_amount": sum(stale),
            "is_key_account": agreed(
                judged, "key_account", as_of, {"true": True, "false": False}, 0.6, False
            ),
            "mood": agreed(
                judged, "mood", as_of, {each: each for each in ("glad", "calm", "angry")}, 0.5, None
            ),
            "needs_call": idle > 0 and sum(stale) > 0,
        }
    return {
        "customer": of_customers,
        "machine": of_machines,
        "opportunity": of_opportunities,
    }


def graded(data: Fleet, days: tuple[datetime, ...]) -> dict[tuple[datetime, str], dict[str, Any]]:
    """Score and grade of each customer on days released in order, by the words of the policy."""
    found: dict[tuple[datetime, str], dict[str, Any]] = {}
    for number, day in enumerate(days):
        for name, tags in expected(data, day)["customer"].items():
            before = found.get((days[number - 1], name), {}) if number else {}
            found[day, name] = _graded(tags, before, day)
    return found


def _graded(tags: dict[str, Any], before: dict[str, Any], day: datetime) -> dict[str, Any]:
    hours, idle, stale = (
        tags[name] for name in ("best_machine_hours", "idle_machine_count", "stale_amount")
    )
    many = 140 if day >= datetime(2026, 3, 20) else 120
    used = [] if hours is None else [(60, min(100, 100 * hours / many))]
    used.append((30, 100 if idle < 1 else 60 if idle < 2 else 20 if idle < 4 else 0))
    used.append((10, 100 if tags["is_key_account"] else 0))
    score = sum(weight * points for weight, points in used) / sum(weight for weight, _ in used)
    parts = {
        "use_score": (60, score),
        "owned_faults_30d": (25, max(0, 100 - 10 * tags["owned_faults_30d"])),
        "stale_amount": (15, 0 if stale >= 1000 else 50 if stale >= 1 else 100),
    }
    points = sum(weight * each for weight, each in parts.values()) / 100

    def by(points: float) -> str:
        grade = "A" if points >= 70 else "B" if points >= 45 else "C" if points >= 25 else "D"
        return max(grade, "C") if stale >= 1500 else grade

    today, was = by(points), before.get("owner_grade")
    grade = was if was is not None and by(points + 3) <= was <= by(points - 3) else today
    if was not in (None, grade) and before["owner_grade_before"] is not None:
        changed = before["owner_grade_since"]
        if (day.date() - changed).days < 30 and not (
            stale >= 1500 and was < "C" and before["owner_grade_before"] < "C"
        ):
            grade = was
    assert grade is not None
    same = grade == was
    return {
        "use_score": score,
        "owner_grade_points": points,
        "owner_grade": grade,
        "owner_grade_since": before["owner_grade_since"] if same else day.date(),
        "owner_grade_before": before["owner_grade_before"] if same else was,
        "owner_grade_reasons": before["owner_grade_reasons"]
        if same and grade != today
        else _reasons(parts, points, today, stale >= 1500),
        "owner_grade_care": bool(tags["needs_call"]),
    }


def _reasons(
    parts: dict[str, tuple[int, float]], points: float, today: str, limited: bool
) -> list[str]:
    """The limit that holds; and the inputs that hold the grade by points, or bar a better one."""
    borders = {"A": 70.0, "B": 45.0, "C": 25.0}
    own = next((grade for grade, least in borders.items() if points >= least), "D")
    found = ["stale_amount"] if limited and today == "C" else []
    if own == today:
        decide: set[str] = set()
        gains = {tag: weight * each for tag, (weight, each) in parts.items()}
        losses = {tag: weight * (100 - each) for tag, (weight, each) in parts.items()}
        room = 100 * (points - borders.get(own, 1000))
        for tag in sorted(gains, key=lambda tag: -gains[tag]):
            if room >= 0 and gains[tag] > 0:
                decide.add(tag)
                room -= gains[tag]
        gap = 100 * (borders[chr(ord(own) - 1)] - points) if own != "A" else 0
        for tag in sorted(losses, key=lambda tag: -losses[tag]):
            if gap > 0 and losses[tag] > 0:
                decide.add(tag)
                gap -= losses[tag]
        found += [tag for tag in parts if tag in decide and tag not in found]
    return found if "stale_amount" not in found else ["stale_amount", *(
        tag for tag in found if tag != "stale_amount"
    )]  # fmt: skip


def leading(reports: pd.DataFrame) -> str | None:
    """The site with the most hours, ties by name."""
    hours = reports.dropna(subset=["site"]).groupby("site")["hours"].sum()
    return min(hours.index, key=lambda site: (-hours[site], site), default=None)


def agreed(
    judged: pd.DataFrame,
    question: str,
    as_of: datetime,
    values: dict[str, Any],
    share: float,
    empty: Any,
) -> Any:
    """The answer that a share of the judges gives, by each one's newest judgement."""
    asked = judged[(judged["question"] == question) & (judged["judged"] < as_of)]
    newest = asked.sort_values(["judged", "id"]).drop_duplicates("judge", keep="last")
    counts = newest[newest["answer"].isin(values)]["answer"].value_counts()
    if counts.empty:
        return empty
    leaders = counts[counts == counts.max()]
    if len(leaders) > 1:
        return None
    return values[str(leaders.index[0])] if leaders.iloc[0] / counts.sum() >= share else empty
