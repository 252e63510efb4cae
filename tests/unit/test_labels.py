"""A round of questions and answers by the command line: sheets out, sheets in, agreement."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tagline.catalog import load_catalog
from tagline.cli import main
from tagline.deployment import open_deployment
from tagline.errors import DefinitionError, UnknownName
from tagline.labels.judged import judgements
from tagline.labels.selection import held_out
from tagline.settings import PROJECT, Settings

slow = pytest.mark.slow
NAME = {"en": "A", "zh": "甲"}
VALUES = ("calm", "glad", "angry")
ABOUT = "2026-03-01"
CUSTOMERS = 400


@dataclass(frozen=True)
class Told:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Office:
    """A business whose customers are asked about; `folder` holds the sheets."""

    settings: Settings
    folder: Path
    tagline: Callable[..., Told]

    def sheet(self, *arguments: str, name: str = "sheet.csv") -> list[dict[str, str]]:
        """The rows of a sheet that a command writes."""
        path = self.folder / name
        told = self.tagline("labels", *arguments, "--csv", str(path))
        assert told.code == 0, told.err
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def hand_in(self, rows: list[dict[str, str]], *arguments: str) -> Told:
        """Import rows as a sheet."""
        path = self.folder / "filled.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return self.tagline("labels", "import", "mood", str(path), "--json", *arguments)


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else yaml.safe_dump(content, allow_unicode=True)
    path.write_text(text, "utf-8")


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    """A business of customers and judgements alone, with the project's source of judgements."""
    root, project = tmp_path / "definitions", PROJECT / "include"
    head = {"name": NAME, "description": "Made for a test."}
    write(
        root / "businesses/office.yaml",
        head
        | {"currency": "EUR", "identity": "one_to_one", "starts_on": "2026-01-01"}
        | {"sources": ["till", "annotators"]},
    )
    key = {"type": "text", "nullable": False, "description": "Who."}
    since = {"type": "timestamp", "nullable": False, "description": "Since when."}
    write(
        root / "tables/customers.yaml",
        head
        | {"key": ["customer_id"], "columns": {"customer_id": key, "since_at": since}}
        | {"customer": "customer_id"},
    )
    people = {"path": "people.csv", "columns": {"who": "text", "since": "timestamp"}}
    write(
        root / "sources/till.yaml",
        head
        | {"type": "files", "location": "in", "feeds": {"customers": "snapshot"}}
        | {"tables": {"people": people}},
    )
    sql = "SELECT who AS customer_id, since AS since_at FROM people"
    write(root / "sql/sources/till/customers.sql", sql)
    rows = [f"c{number},2026-01-01" for number in range(CUSTOMERS)]
    write(root / "in/people.csv", "\n".join(["who,since", *rows]) + "\n")
    values = {value: {"name": NAME, "guideline": NAME} for value in VALUES}
    write(
        root / "labels/mood.yaml",
        head
        | {"owner": "sales", "question": NAME, "values": values, "min_customers": 20}
        | {"adjudicators": ["judge"]},
    )
    for path in (
        "tables/labels.yaml", "sources/annotators.yaml", "sql/sources/annotators/labels.sql"
    ):  # fmt: skip
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project / path, root / path)
    return root


@pytest.fixture
def office(
    definitions: Path,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Office]:
    """The business with its customers in the lake, as the deployment of every command."""
    from tagline.clean import clean
    from tagline.extract import extract

    mine = settings.model_copy(update={"definitions": definitions})
    (definitions / "businesses/office.yaml").rename(business_file(mine))
    for name in ("business", "definitions", "home", "database_url"):
        monkeypatch.setenv(f"TAGLINE_{name.upper()}", str(getattr(mine, name)))
    at = datetime(2026, 3, 2, tzinfo=UTC)
    with open_deployment(mine) as deployment:
        deployment.registry.start_run("load", at, at)
        extract(deployment, "load", at, at)
        clean(deployment, "load", at, at)

    def tagline(*arguments: str) -> Told:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return Told(int(ended.value.code or 0), captured.out, captured.err)

    yield Office(mine, tmp_path, tagline)


def business_file(settings: Settings) -> Path:
    return settings.definitions / f"businesses/{settings.business}.yaml"


def answered(rows: list[dict[str, str]], values: Any) -> list[dict[str, str]]:
    return [row | {"value": value} for row, value in zip(rows, values, strict=True)]


@slow
def test_a_round_of_questions_from_the_queue_to_the_adjudicator(office: Office) -> None:
    asked = office.sheet("queue", "mood", "--count", "40", "--as-of", ABOUT)
    assert len({row["customer_key"] for row in asked}) == 40
    assert {row["why"] for row in asked} == {"at random"}  # there is no model that could doubt
    judging = [row for row in asked if held_out("mood", row["customer_key"])]
    assert len(judging) == 10
    first = answered(asked, ["calm", "glad"] * 20)
    told = office.hand_in(first, "--by", "ann")
    assert (told.code, told.json["judgements"], told.json["new"]) == (0, 40, 40)
    assert office.hand_in(first, "--by", "ann").json["new"] == 0  # the same sheet again

    again = office.sheet("queue", "mood", "--count", "40", "--as-of", ABOUT, "--by", "bob")
    assert {row["why"] for row in again} == {"another has answered"}
    assert {row["customer_key"] for row in again} == {row["customer_key"] for row in asked}
    other = {row["customer_key"]: row["value"] for row in first}
    disputed = again[0]["customer_key"]
    other[disputed] = "angry"
    second = answered(again, [other[row["customer_key"]] for row in again])
    second[-1]["value"] = ""  # bob does not know
    told = office.hand_in(second, "--by", "bob")
    assert (told.json["judgements"], told.json["unanswered"]) == (39, 1)

    agreement = office.tagline("labels", "agreement", "mood", "--json")
    assert agreement.code == 0
    found = agreement.json
    assert (found["labels"], found["disagreed"], found["too_few_answers"]) == (38, 1, 1)
    assert found["measure"] == "Cohen's kappa"
    assert 0.9 < found["kappa"] < 1
    assert found["annotators"] == ["ann", "bob"]

    [open_] = office.sheet("adjudicate", "mood", "--by", "judge")
    assert open_["customer_key"] == disputed
    assert {open_["answer of ann"], open_["answer of bob"]} == {
        next(row["value"] for row in first if row["customer_key"] == disputed), "angry"
    }  # fmt: skip
    columns = ("label_set", "customer_key", "about_at", "value", "judged_by")
    decided = {name: open_[name] for name in columns} | {"value": "glad"}
    assert office.hand_in([decided]).code == 0
    after = office.tagline("labels", "agreement", "mood", "--json").json
    assert (after["labels"], after["disagreed"]) == (39, 0)
    assert after["kappa"] == found["kappa"]  # the adjudicator is no independent annotator
    assert office.sheet("adjudicate", "mood") == []


@slow
def test_an_answer_counts_from_when_it_was_given_and_until_it_is_taken_back(
    office: Office,
) -> None:
    row = {"customer_key": "c1", "about_at": ABOUT, "judged_by": "ann"}
    earlier = row | {"value": "calm", "judged_at": "2026-03-05T09:00:00+00:00"}
    later = row | {"value": "withdraw", "judged_at": "2026-03-06T09:00:00+00:00"}
    assert office.hand_in([earlier]).code == 0
    assert office.hand_in([later]).code == 0
    counted = []
    with open_deployment(office.settings) as deployment:
        for day in (4, 6, 7):
            at = datetime(2026, 3, day, tzinfo=UTC)
            counted.append([one.value for one in judgements(deployment, "mood", at)])
    assert counted == [[], ["calm"], ["calm", None]]
    for before, customers in (("2026-03-06", 1), ("2026-03-07", 0)):
        told = office.tagline("labels", "agreement", "mood", "--as-of", before, "--json")
        assert told.json["customers"] == customers


@slow
@pytest.mark.parametrize(("kappa", "code"), [(0.5, 1), (0.8, 0)])
def test_a_set_on_which_people_agree_too_little_is_refused(
    office: Office, kappa: float, code: int
) -> None:
    """Two annotators who know the answer with probability √kappa, and guess otherwise."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 3, CUSTOMERS)
    rows = []
    for name in ("ann", "bob"):
        knows = random.random(CUSTOMERS) < kappa**0.5
        said = np.where(knows, truth, random.integers(0, 3, CUSTOMERS))
        rows += [
            {"customer_key": f"c{who}", "value": VALUES[value], "about_at": ABOUT}
            | {"judged_by": name}
            for who, value in enumerate(said)
        ]
    assert office.hand_in(rows).json["new"] == 2 * CUSTOMERS
    told = office.tagline("labels", "agreement", "mood", "--json")
    assert told.code == code
    assert told.json["kappa"] == pytest.approx(kappa, abs=0.07)
    assert bool(told.json["refused"]) is bool(code)
    assert ("agree with kappa" in told.err and "below min_kappa 0.6" in told.err) is bool(code)


FAULTS: tuple[tuple[dict[str, str], str], ...] = (
    ({"customer_key": "nobody"}, "no customer has the key 'nobody'"),
    ({"value": "clam"}, "'clam' is no value of mood. Did you mean 'calm'?"),
    ({"judged_by": ""}, "says not who judged"),
    ({"about_at": ""}, "about_at is empty"),
    ({"about_at": "soon"}, "about_at 'soon' is neither a day"),
    ({"judged_at": "2999-01-01"}, "judged_at 2999-01-01T00:00:00+00:00 lies in the future"),
    ({"judged_at": "2026-02-01"}, "about_at 2026-03-01T00:00:00+00:00 is after it was judged"),
    ({"label_set": "other"}, "is of label set 'other', not 'mood'"),
)


@slow
def test_nothing_is_kept_of_a_sheet_with_faults_and_each_line_is_named(office: Office) -> None:
    good = {"label_set": "mood", "customer_key": "c1", "value": "calm", "about_at": ABOUT}
    good |= {"judged_by": "ann", "judged_at": "2026-03-05"}
    told = office.hand_in([good, *(good | change for change, _ in FAULTS)])
    assert told.code == 1
    for line, (_, said) in enumerate(FAULTS, start=3):
        assert f"line {line}: {said}" in told.err
    assert "line 2" not in told.err
    assert not list((office.settings.home_path / "judgements").glob("*.csv"))
    assert office.tagline("labels", "--json").json["label_sets"][0]["customers"] == 0


@slow
def test_an_unknown_label_set_and_one_without_adjudicators_are_refused(office: Office) -> None:
    told = office.tagline("labels", "agreement", "moood")
    assert told.code == 1 and "Did you mean 'mood'?" in told.err
    path = office.settings.definitions / "labels/mood.yaml"
    written = yaml.safe_load(path.read_text("utf-8"))
    write(path, {key: value for key, value in written.items() if key != "adjudicators"})
    told = office.tagline("labels", "adjudicate", "mood", "--csv", str(office.folder / "a.csv"))
    assert told.code == 1 and "names no adjudicators" in told.err


@slow
def test_a_business_without_a_place_for_answers_says_what_to_add(
    office: Office,
) -> None:
    path = business_file(office.settings)
    written = yaml.safe_load(path.read_text("utf-8"))
    write(path, written | {"sources": ["till"]})
    told = office.hand_in([{"customer_key": "c1", "value": "calm"}])
    assert told.code == 1
    assert "add a source that feeds it, such as annotators" in told.err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"values": {"calm": {"name": NAME, "guideline": NAME}}}, "labels/mood.yaml:.*at least 2"),
        ({"min_annotators": 1}, "labels/mood.yaml:.*greater than or equal to 2"),
        ({"min_kapa": 0.7}, "unknown key 'min_kapa'. Did you mean 'min_kappa'?"),
        ({"adjudicators": ["ann", "ann"]}, "adjudicator 'ann' is named twice"),
        ({"speaks_of": "ask"}, "Did you mean 'asked'?"),
    ],
)
def test_a_label_set_is_checked_with_file_and_line(
    definitions: Path, changes: dict[str, Any], said: str
) -> None:
    path = definitions / "labels/mood.yaml"
    write(path, yaml.safe_load(path.read_text("utf-8")) | changes)
    with pytest.raises(DefinitionError) as refused:
        load_catalog(definitions, "office")
    [fault] = refused.value.faults
    assert fault.path == "labels/mood.yaml"
    first, _, rest = said.partition(":.*")
    assert (rest or first) in str(fault)


def test_a_manual_tag_reads_a_label_set_and_its_values(
    definitions: Path,
) -> None:
    theme = {"name": NAME, "description": "Made for a test.", "dimensions": {"mood": NAME}}
    write(definitions / "tags/people/theme.yaml", theme)
    tag = {"name": NAME, "description": "Made for a test.", "kind": "manual", "owner": "crm"}
    tag |= {"label_set": "mood", "type": "text", "values": ["calm", "clam"]}
    write(definitions / "tags/people/mood/seen.yaml", tag)
    with pytest.raises(DefinitionError, match=r"has no value 'clam'\. Did you mean 'calm'"):
        load_catalog(definitions, "office")
    write(definitions / "tags/people/mood/seen.yaml", tag | {"label_set": "moods"})
    with pytest.raises(DefinitionError, match=r"no labels/moods\.yaml\. Did you mean 'mood'"):
        load_catalog(definitions, "office")
    write(definitions / "tags/people/mood/seen.yaml", tag | {"values": ["calm", "glad"]})
    catalog = load_catalog(definitions, "office")
    assert set(catalog.tags) == {"seen"}
    with pytest.raises(UnknownName, match="mood"):
        catalog.label_set("moody")
