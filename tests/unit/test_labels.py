"""A round of questions and answers by the command line: sheets out, sheets in, agreement."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from tagline.registry import Registry
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

    def load(self, at: datetime) -> None:
        """Bring the lake up to date with the sources, on a day."""
        from tagline.clean import clean
        from tagline.extract import extract

        with open_deployment(self.settings) as deployment:
            deployment.registry.start_run(f"load {at}", at, at)
            extract(deployment, f"load {at}", at, at)
            clean(deployment, f"load {at}", at, at)

    def define(self, path: str, **changes: Any) -> None:
        """Change keys of a definition file, or begin one."""
        target = self.settings.definitions / path
        written = yaml.safe_load(target.read_text("utf-8")) if target.exists() else {}
        write(target, written | changes)

    def sheet(self, *arguments: str) -> list[dict[str, str]]:
        """The rows of a new sheet that a command writes."""
        path = self.folder / f"sheet-{len(list(self.folder.glob('sheet-*')))}.csv"
        told = self.tagline("labels", *arguments, "--csv", str(path))
        assert told.code == 0, told.err
        with path.open(encoding="utf-8-sig", newline="") as file:
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
    rows = [f"c{number},2026-01-{number % 28 + 1:02}" for number in range(CUSTOMERS)]
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
    mine = settings.model_copy(update={"definitions": definitions})
    (definitions / "businesses/office.yaml").rename(business_file(mine))
    for name in ("business", "definitions", "home", "database_url"):
        monkeypatch.setenv(f"TAGLINE_{name.upper()}", str(getattr(mine, name)))

    def tagline(*arguments: str) -> Told:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return Told(int(ended.value.code or 0), captured.out, captured.err)

    office = Office(mine, tmp_path, tagline)
    office.load(datetime(2026, 3, 2, tzinfo=UTC))
    yield office


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
def test_nothing_is_kept_of_a_sheet_with_faults_and_its_lines_are_named(office: Office) -> None:
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
def test_annotators_of_different_days_make_a_label_where_answers_speak_of_their_day(
    office: Office,
) -> None:
    office.define("labels/mood.yaml", speaks_of="judged")
    asked = office.sheet("queue", "mood", "--count", "24", "--as-of", ABOUT, "--by", " ann ")
    assert {row["judged_by"] for row in asked} == {"ann"}
    said = ["calm", "glad"] * 12
    first = [row | {"judged_at": "2026-03-05"} for row in answered(asked, said)]
    second = [row | {"judged_by": "bob", "judged_at": "2026-03-06"} for row in first]
    second[0]["value"] = "angry"
    third = [second[0] | {"judged_by": "judge", "judged_at": "2026-03-09", "value": "calm"}]
    assert office.hand_in([*first, *second, *third]).json["new"] == 49
    for before, labels, disagreed in (("2026-03-09", 23, 1), ("2026-03-10", 24, 0)):
        told = office.tagline("labels", "agreement", "mood", "--as-of", before, "--json")
        assert (told.code, told.json["judged_twice"]) == (0, 24)
        assert (told.json["labels"], told.json["disagreed"]) == (labels, disagreed)
    again = office.sheet("queue", "mood", "--count", "24", "--as-of", ABOUT, "--by", "eve")
    assert not {row["customer_key"] for row in again} & {row["customer_key"] for row in asked}


@slow
def test_a_sheet_handed_in_again_adds_only_what_is_new(office: Office) -> None:
    rows = [{"customer_key": f"c{number}", "about_at": ABOUT, "value": ""} for number in range(3)]
    half = answered(rows, ["calm", "glad", ""])
    assert office.hand_in(half, "--by", "ann").json["new"] == 2
    back = [half[0] | {"value": "withdraw"}, half[1] | {"value": "angry"}]
    assert office.hand_in(back, "--by", " ann").json["new"] == 2
    told = office.hand_in(answered(rows, ["calm", "glad", "calm"]), "--by", "ann").json
    assert (told["judgements"], told["new"], told["overtaken"]) == (3, 1, 2)
    newest: dict[str, str | None] = {}
    returned = half[1] | {"judged_at": datetime.now(UTC).isoformat()}
    for sheet, said in (
        (None, {"c0": None, "c1": "angry", "c2": "calm"}),
        (returned, {"c0": None, "c1": "glad", "c2": "calm"}),
    ):
        if sheet is not None:
            assert office.hand_in([sheet], "--by", "ann").json["new"] == 1
        with open_deployment(office.settings) as deployment:
            for one in judgements(deployment, "mood", datetime(2999, 1, 1, tzinfo=UTC)):
                newest[one.customer_id] = one.value
        assert newest == said
    path = office.folder / "filled.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    told = office.tagline("labels", "import", "mood", str(path), "--by", "ann", "--json").json
    assert (told["new"], told["overtaken"]) == (0, 0)  # as a spreadsheet saves it


@slow
def test_one_person_cannot_answer_twice_at_one_instant_or_under_two_spellings(
    office: Office,
) -> None:
    row = {"customer_key": "c1", "about_at": ABOUT, "value": "calm", "judged_at": ""}
    told = office.hand_in([row, row, row | {"value": "glad"}], "--by", "ann")
    assert told.code == 1
    assert "line 4: 'ann' answers 'c1' otherwise in line 2, at the same instant" in told.err
    dated = row | {"judged_at": "2026-03-05"}
    assert office.hand_in([dated, dated], "--by", "ann").json["new"] == 1
    for value in ("glad", "withdraw"):
        told = office.hand_in([dated | {"value": value}], "--by", "ann")
        assert told.code == 1
        assert "line 2: 'ann' answers 'c1' otherwise in an answer handed in before" in told.err
        assert "give judged_at with a time of day" in told.err
    for name, known in (("Ann", "ann"), ("Judge", "judge")):
        told = office.hand_in([row], "--by", name)
        assert told.code == 1
        assert f"{name!r} is known in another spelling. Did you mean {known!r}?" in told.err
    path = str(office.folder / "new.csv")
    told = office.tagline("labels", "queue", "mood", "--as-of", ABOUT, "--csv", path, "--by", "ANN")
    assert told.code == 2 and "known as 'ann'" in told.err


@slow
def test_lines_are_counted_as_an_editor_counts_them(office: Office) -> None:
    path = office.folder / "filled.csv"
    lines = ["customer_key,value,note", 'c1,,"of two', 'lines"', "", *["nobody,calm,"] * 23]
    path.write_text("\n".join(lines), "utf-8")
    told = office.tagline("labels", "import", "mood", str(path))
    assert "line 5: no customer" in told.err and "line 24: no customer" in told.err
    assert "line 4:" not in told.err and "line 25" not in told.err
    assert "and 3 more" in told.err


@slow
def test_no_sheet_is_written_over_another(office: Office) -> None:
    path = office.folder / "sheet.csv"
    queue = ("labels", "queue", "mood", "--as-of", ABOUT, "--count", "2", "--csv")
    assert office.tagline(*queue, str(path)).code == 0
    written = path.read_bytes()
    assert written.startswith(b"\xef\xbb\xbflabel_set,customer_key,about_at")  # Excel's mark
    file_as_folder = path / "new.csv"
    for command in (queue, ("labels", "adjudicate", "mood", "--csv")):
        for target, said in (
            (path, "exists, and may hold answers; name a new file"),
            (office.folder, "is a folder"),
            (file_as_folder, "cannot be written: "),
        ):
            told = office.tagline(*command, str(target))
            assert told.code == 2 and said in told.err
    assert path.read_bytes() == written


@slow
def test_an_import_holds_one_lock_at_a_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a backup waiting between two of them, a nested lock would wait for the backup."""
    held: list[str] = []
    taken: list[tuple[str, ...]] = []
    lock = Registry.lock

    @contextmanager
    def watched(registry: Registry, name: str) -> Iterator[None]:
        held.append(name)
        taken.append(tuple(held))
        with lock(registry, name):
            yield
        held.remove(name)

    monkeypatch.setattr(Registry, "lock", watched)
    assert office.hand_in([{"customer_key": "c1", "value": "calm", "about_at": ABOUT}], "--by", "a")
    names = {each[-1].partition(":")[0] for each in taken}
    assert {"labels", "extract", "clean"} <= names
    assert not [each for each in taken if each[0].startswith("labels:") and len(each) > 1]


@slow
def test_answers_given_after_the_data_ended_count_at_its_end(office: Office) -> None:
    """The present of a closed data set is the end of its last day, for models and answers."""
    office.define("businesses/" + business_file(office.settings).name, ends_on="2026-03-31")
    row = {"customer_key": "c1", "about_at": ABOUT}
    for value in ("calm", "glad"):
        assert office.hand_in([row | {"value": value}], "--by", "ann").json["new"] == 1
    of_the_end = row | {"customer_key": "c2", "about_at": "2026-04-01", "value": "calm"}
    assert office.hand_in([of_the_end], "--by", "ann").json["new"] == 1
    with open_deployment(office.settings) as deployment:
        end = datetime(2026, 4, 1, tzinfo=UTC)
        assert [one.value for one in judgements(deployment, "mood", end)] == ["calm", "glad"]
        assert not judgements(deployment, "mood", datetime(2026, 3, 31, tzinfo=UTC))
        later = judgements(deployment, "mood", datetime(2999, 1, 1, tzinfo=UTC))[-1]
    assert later.customer_id == "c2"  # it speaks of the end, and was not known before
    assert later.judged_at > datetime(2026, 4, 2, tzinfo=UTC)
    anew = of_the_end | {"value": "glad", "about_at": "2026-03-31"}
    dated = anew | {"value": "calm", "judged_at": "2026-04-05"}
    assert office.hand_in([dated], "--by", "ann").json["new"] == 1
    assert office.hand_in([anew], "--by", "ann").json["new"] == 1
    with open_deployment(office.settings) as deployment:
        last = judgements(deployment, "mood", datetime(2999, 1, 1, tzinfo=UTC))[-1]
    assert (last.customer_id, last.value) == ("c2", "glad")  # newer than the answer it replaces


@slow
def test_a_key_is_known_from_the_queue_to_the_import_whatever_is_mapped_meanwhile(
    office: Office,
) -> None:
    """card-2 is asked about; card-1 is mapped to its customer before the answer comes."""
    root = office.settings.definitions
    shutil.copy(PROJECT / "include/tables/identity.yaml", root / "tables/identity.yaml")
    till = yaml.safe_load((root / "sources/till.yaml").read_text("utf-8"))
    cards = {"path": "cards.csv", "columns": {"card": "text", "holder": "text"}}
    office.define(
        "sources/till.yaml",
        feeds=till["feeds"] | {"identity": "snapshot"},
        tables=till["tables"] | {"cards": cards},
    )
    sql = "SELECT card AS customer_key, holder AS customer_id FROM cards"
    write(root / "sql/sources/till/identity.sql", sql)
    office.define("businesses/" + business_file(office.settings).name, identity="mapped")
    write(root / "in/cards.csv", "card,holder\ncard-2,c1\n")
    office.load(datetime(2026, 3, 3, tzinfo=UTC))
    [asked] = office.sheet("queue", "mood", "--count", "1", "--as-of", "2026-03-04")
    assert asked["customer_key"] == "card-2"
    write(root / "in/cards.csv", "card,holder\ncard-2,c1\ncard-1,c1\n")
    office.load(datetime(2026, 3, 5, tzinfo=UTC))
    told = office.hand_in([asked | {"value": "calm"}], "--by", "ann")
    assert (told.code, told.json["new"]) == (0, 1), told.err
    both = [asked | {"value": "calm"}, asked | {"value": "glad", "customer_key": "card-1"}]
    told = office.hand_in(both, "--by", "bob")
    assert told.code == 1 and "'bob' answers 'card-1' otherwise in line 2" in told.err


MODEL: dict[str, Any] = {
    "name": NAME,
    "description": "Made for a test.",
    "owner": "crm",
    "task": "multiclass",
    "population": "true",
    "classes": list(VALUES),
    "label_set": "mood",
    "features": ["tenure_days"],
    "rule": {"tag": "kind", "means": {"one": "calm", "other": "glad"}},
    "candidates": ["logistic_regression"],
    "gate": {"min_macro_f1": 0.1, "max_calibration_error": 0.5},
}


@slow
def test_a_model_learns_of_nobody_before_it_is_judged_and_then_asks_until_all_are(
    office: Office,
) -> None:
    """Everyone outside the quarter that judges models is labelled, so nobody is left to tell."""
    tag = {"name": NAME, "description": "Made for a test.", "kind": "extraction", "owner": "crm"}
    tag |= {"table": "customers"}
    theme = {"name": NAME, "description": "Made for a test.", "dimensions": {"time": NAME}}
    office.define("tags/people/theme.yaml", **theme)
    days = {"type": "integer", "value": "date_diff('day', since_at, as_of)"}
    office.define("tags/people/time/tenure_days.yaml", **tag, **days)
    kind = {"type": "text", "values": ["one", "other"]}
    value = "CASE WHEN customer_id < 'c2' THEN 'one' ELSE 'other' END"
    office.define("tags/people/time/kind.yaml", **tag, **kind, value=value)
    office.define("models/mood.yaml", **MODEL)
    office.define("businesses/" + business_file(office.settings).name, models=["mood"])
    rows = [
        {"customer_key": key, "value": VALUES[number % 2], "about_at": ABOUT, "judged_by": name}
        for number, key in enumerate(f"c{number}" for number in range(CUSTOMERS))
        if not held_out("mood", key)
        for name in ("ann", "bob")
    ]
    assert office.hand_in(rows).code == 0
    told = office.tagline("train", "mood", "--as-of", "2026-03-20")
    assert told.code == 1 and "too few customers have a label" in told.err
    assert f"{len(rows)} answers were judged after as_of 2026-03-20T00:00" in told.err

    path = str(office.folder / "left.csv")
    told = office.tagline(
        "labels", "queue", "mood", "--as-of", ABOUT, "--count", "9", "--csv", path, "--json"
    )
    assert told.code == 0, told.err
    assert told.json["chosen_by"] == f"a model of the {len(rows) // 2} labels so far"
    assert told.json["questions"] == 3  # a quarter, of those who judge models


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
        (
            {"values": {key: {"name": NAME, "guideline": NAME} for key in ("calm", "withdraw")}},
            "'withdraw' is no name for a value",
        ),
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
