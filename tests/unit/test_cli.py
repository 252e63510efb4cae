"""The command line: one document on stdout, messages on stderr, exit codes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as parquet
import pytest
from tests.definition_copies import copied_definitions

from tagline.catalog import load_catalog
from tagline.cli import main
from tagline.commands.console import asked, instant
from tagline.errors import NoData, WrongUsage
from tagline.registry.schema import ModelEvent, ModelVersion
from tagline.release import release
from tagline.settings import PROJECT

if TYPE_CHECKING:
    from tests.conftest import SmallShop
    from tests.documents import blocks
    from tests.unit.conftest import Kiosk

    from tagline.deployment import Deployment
else:
    from documents import blocks

slow = pytest.mark.slow
DAY = datetime(2017, 10, 1, tzinfo=UTC)
AT = datetime(2017, 12, 1, 12, tzinfo=UTC)
CUSTOMERS = [
    {"customer_id": "1", "recency_days": 91, "segment": "dormant", "segment__case": 0},
    {"customer_id": "2", "recency_days": 3, "segment": "active", "segment__case": 1},
]


@dataclass(frozen=True)
class Result:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Result]


@pytest.fixture
def tagline(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process."""

    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Result(code or 0, captured.out, captured.err)

    return run


@pytest.fixture
def served(shop: SmallShop, monkeypatch: pytest.MonkeyPatch) -> SmallShop:
    """The small shop as the deployment of every command."""

    @contextmanager
    def opened(_settings: object = None) -> Iterator[Deployment]:
        yield shop.deployment

    monkeypatch.setattr("tagline.deployment.open_deployment", opened)
    return shop


@pytest.fixture
def shop_of_the_guide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The definitions of the project with the shop that docs/add-a-source.md adds."""
    copied_definitions(tmp_path / "include")
    for block in blocks(PROJECT / "docs" / "add-a-source.md"):
        if block.path and block.section != "From a database":
            block.write(tmp_path)
    monkeypatch.setenv("TAGLINE_DEFINITIONS", str(tmp_path / "include"))
    return tmp_path / "include"


def make(shop: SmallShop, run: str, days: int = 0, **options: Any) -> int:
    shop.audited(run, DAY + timedelta(days=days), CUSTOMERS, **options)
    return release(shop.deployment, run, AT).release


def test_help_lists_every_command(tagline: Command) -> None:
    result = tagline("--help")
    assert result.code == 0
    commands = "check run tags tag profile audience export releases rollback release sql train"
    for command in (*commands.split(), "models", "quarantine", "plan", "audiences", "similar"):
        assert f" {command} " in result.out + result.err


@pytest.mark.parametrize("arguments", [["nonsense"], ["run"], ["rollback"], ["release", "x"]])
def test_wrong_usage_exits_with_2(tagline: Command, arguments: Sequence[str]) -> None:
    assert tagline(*arguments).code == 2


def test_an_unknown_setting_value_exits_with_2_and_names_it(
    tagline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGLINE_THREADS", "none")
    result = tagline("tags")
    assert (result.code, "THREADS" in result.err.upper()) == (2, True)


def test_check_accepts_the_definitions_of_the_project(tagline: Command) -> None:
    result = tagline("check", "--json")
    assert (result.code, result.json["faults"]) == (0, [])
    assert result.json["tags"] >= 30


def test_check_lists_all_faults_with_file_and_line(
    tagline: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAGLINE_DEFINITIONS", str(tmp_path))
    result = tagline("check", "--json")
    assert result.code == 1
    assert result.json["faults"]
    assert set(result.json["faults"][0]) == {"path", "line", "message"}
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("min(prinetd_at)", r"Referenced column \"prinetd_at\" not found"),
        ("minn(printed_at)", "name minn does not exist! Did you mean"),
    ],
)
def test_check_finds_what_is_misspelt_in_the_sql_of_a_source(
    tagline: Command, shop_of_the_guide: Path, wrong: str, said: str
) -> None:
    assert tagline("--business", "corner_shop", "check").code == 0
    path = "sql/sources/corner_shop/customers.sql"
    file = shop_of_the_guide / path
    file.write_text(file.read_text("utf-8").replace("min(printed_at)", wrong), "utf-8")
    result = tagline("--business", "corner_shop", "check")
    assert result.code == 1
    assert re.search(rf"^{path}:5: not valid SQL: .*{said}", result.err, flags=re.MULTILINE)


@slow
def test_an_example_that_fails_is_told_as_the_file_would_write_it(
    tagline: Command, shop_of_the_guide: Path
) -> None:
    """An average over a divisor of 0 gives no number; the file says null."""
    tag = shop_of_the_guide / "tags/value/basket/phone_payment_share_365d.yaml"
    text = tag.read_text("utf-8").replace(
        "avg(if(payment = 'phone', 1, 0))", "sum(discount_amount) / sum(amount)"
    )
    tag.write_text(
        text.partition("examples:")[0] + "examples:\n  - as_of: 2026-03-01\n    rows:\n      "
        "- {ordered_at: 2026-02-01, status: placed, payment: cash, amount: 0, discount_amount: 0}"
        "\n    value: null\n",
        "utf-8",
    )
    said = tagline("--business", "corner_shop", "check", "--examples").err
    assert "example 1: gives nan, not null; where a divisor may be 0, divide by nullif" in said


def test_an_unknown_business_is_refused_without_a_traceback(tagline: Command) -> None:
    result = tagline("--business", "groce", "tags")
    assert result.code == 1
    assert "groce" in result.err
    assert "Traceback" not in result.err


def test_tags_lists_the_catalogue(tagline: Command) -> None:
    listed = {each["slug"]: each for each in tagline("tags", "--json").json["tags"]}
    assert listed["recency_days"]["kind"] == "statistic"
    assert listed["is_dormant"]["name"]["zh"]
    assert "recency_days" in tagline("tags").out


def test_sql_prints_the_query_of_a_tag(tagline: Command) -> None:
    result = tagline("sql", "recency_days", "--as-of", "2017-10-01")
    assert result.code == 0
    assert "SELECT" in result.out
    wrong = tagline("sql", "recency_day")
    assert (wrong.code, wrong.out) == (1, "")
    assert "Did you mean 'recency_days'?" in wrong.err


@slow
def test_without_a_release_readers_say_how_to_make_one(tagline: Command, served: SmallShop) -> None:
    for arguments in (["profile", "1"], ["audience", "recency_days > 1"], ["export", "a.parquet"]):
        result = tagline(*arguments)
        assert (result.code, result.out) == (1, "")
        assert "tagline run --as-of" in result.err
    assert "tagline run --as-of" in tagline("releases").out
    assert tagline("releases", "--json").json == {"live": None, "releases": []}


@slow
def test_profile_audience_and_export_print_one_document(
    tagline: Command, served: SmallShop, tmp_path: Path
) -> None:
    made = make(served, "r1")
    found = tagline("profile", "1", "--json").json
    assert set(found) == {"customer_id", "as_of", "release", "tags"}
    assert found["tags"]["segment"]["value"] == "dormant"
    assert "no order for 91 days" in tagline("profile", "1", "--as-of", "2017-10-01").out
    counted = tagline("audience", "recency_days > 1", "--json").json
    assert set(counted) == {"count", "expression", "as_of", "release", "milliseconds"}
    assert (counted["count"], counted["release"]) == (2, made)
    assert tagline("audience", "segment = 'active'", "--ids").out == "2\n"
    assert tagline("audience", "true", "--ids", "--json").json["ids"] == ["1", "2"]
    target = tmp_path / "all.parquet"
    assert tagline("export", str(target), "--json").json["customers"] == 2
    one = tmp_path / "one.parquet"
    assert "1 customers" in tagline("audience", "recency_days > 60", "--export", str(one)).out
    assert parquet.read_table(one)["customer_id"].to_pylist() == ["1"]
    assert tagline("audience", "true", "--ids", "--export", str(one)).code == 2
    like = tagline("similar", "segment = 'active'", "--by", "recency_days", "--json").json
    assert (like["seeds"], [each["customer_id"] for each in like["customers"]]) == (1, ["1"])
    assert tagline("similar", "segment = 'active'", "--ids").out == "1\n"
    assert "everyone" in tagline("similar", "segment = 'active'").out
    refused = tagline("audience", "recency_day > 1")
    assert (refused.code, "recency_days" in refused.err) == (1, True)


@slow
def test_releases_are_rolled_back_and_released_again(tagline: Command, served: SmallShop) -> None:
    first, second = make(served, "r1"), make(served, "r2")
    listed = tagline("releases", "--json").json
    assert listed["live"] == second
    assert [each["release"] for each in listed["releases"]] == [second, first]
    assert "live" in tagline("releases").out
    back = tagline("rollback", "--reason", "wrong prices", "--json").json
    assert (back["withdrawn"], back["live"]) == (second, first)
    assert "is active" in tagline("release", str(second), "--reason", "it was right").out
    assert tagline("rollback", "--reason", "no", "--to", str(first)).code == 0
    again = tagline("rollback", "--reason", "no")
    assert (again.code, "the only one" in again.err) == (1, True)


@slow
def test_releases_name_the_days_that_later_rows_touch(
    tagline: Command, kiosk: Kiosk, shop: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def opened(_settings: object = None) -> Iterator[Deployment]:
        yield kiosk.deployment

    monkeypatch.setattr("tagline.deployment.open_deployment", opened)
    made = make(replace(shop, deployment=kiosk.deployment), "r1")
    assert "touched" not in tagline("releases").out
    kiosk.sales("1,ann,5,2017-09-01 10:00:00")
    kiosk.run(DAY)
    (line,) = (each for each in tagline("releases").out.splitlines() if "touched" in each)
    assert line.endswith("run again to renew: 2017-10-01")
    (listed,) = tagline("releases", "--json").json["releases"]
    assert listed["release"] == made
    assert listed["outdated_from"] < DAY.isoformat()


def test_an_instant_is_shown_as_it_is_asked_for() -> None:
    catalog = load_catalog(PROJECT / "include", "gift_shop")
    for text in ("2011-07-01", "2011-12-01"):  # in London, an hour ahead of UTC and not
        assert asked(catalog, instant(catalog, text)) == text
    evening = "2011-07-01T18:00:00+00:00"
    assert instant(catalog, asked(catalog, evening)) == datetime.fromisoformat(evening)


@slow
def test_a_tag_is_shown_with_versions_lineage_and_scorecard(
    tagline: Command, served: SmallShop
) -> None:
    make(served, "r1")
    found = tagline("tag", "segment", "--json").json
    assert found["versions"][0]["state"] == "live"
    assert found["scorecard"]["state"] == "current"
    assert found["definition"]["cases"][0]["value"] == "dormant"
    assert "segment: lineage" in tagline("tag", "segment").out


@dataclass(frozen=True)
class Report:
    """Stands for the pipeline's report."""

    verdict: str

    def as_json(self) -> dict[str, Any]:
        gate = {"verdict": self.verdict, "reasons": ["recency_days: psi 9"]}
        return {"as_of": "2017-10-01", "release": 7, "gate": gate, "seconds": {"extract": 1.5}}


@slow
@pytest.mark.parametrize(("verdict", "code"), [("pass", 0), ("warn", 0), ("hold", 3)])
def test_run_prints_its_report_and_exits_by_the_verdict(
    tagline: Command,
    served: SmallShop,
    monkeypatch: pytest.MonkeyPatch,
    verdict: str,
    code: int,
) -> None:
    asked: list[tuple[datetime, str]] = []

    def run_day(_deployment: object, as_of: datetime, run_id: str, _clock: object) -> Report:
        print("chatter of a library")
        asked.append((as_of, run_id))
        return Report(verdict)

    monkeypatch.setattr("tagline.pipeline.run_day", run_day)
    result = tagline("run", "--as-of", "2017-10-01", "--json")
    assert (result.code, result.json["release"]) == (code, 7)
    assert "chatter" in result.err
    assert asked[0][0] == DAY
    assert asked[0][1].startswith("cli-")
    assert "extract" in tagline("run", "--as-of", "2017-10-01").out


@slow
def test_a_run_without_data_exits_with_4(
    tagline: Command, served: SmallShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_day(*_arguments: object) -> Report:
        raise NoData("orders end on 2018-01-01")

    monkeypatch.setattr("tagline.pipeline.run_day", run_day)
    result = tagline("run", "--as-of", "2019-01-01", "--json")
    assert (result.code, result.json["status"], result.json["release"]) == (4, "no_data", None)
    assert "orders end on" in result.err


@slow
def test_models_are_listed_with_their_champion(tagline: Command, served: SmallShop) -> None:
    assert tagline("models", "--json").json == {"models": []}
    served.deployment.catalog.models.update(lapse_risk=None)  # type: ignore[attr-defined]
    with served.deployment.registry.session() as session:
        version = ModelVersion(
            model="lapse_risk",
            definition="d",
            trained_as_of=DAY,
            label_end_at=DAY,
            trained_at=AT,
            verdict="accepted",
            status="promoted",
            reasons=[],
            metrics={"roc_auc": {"value": 0.857}},
            features={},
            mlflow_run_id="abc",
            mlflow_version="1",
        )
        session.add(version)
        session.flush()
        session.add(
            ModelEvent(
                model_version_id=version.id,
                action="promoted",
                actor="gate",
                reason="accepted by its gate",
                at=AT,
            )
        )
    listed = tagline("models", "--json").json["models"]
    assert listed[0]["champion"] == listed[0]["versions"][0]["version"]
    assert "champion" in tagline("models").out
    (step,) = tagline("models", "steps", "lapse_risk", "--json").json["steps"]
    assert (step["version"], step["action"]) == (listed[0]["champion"], "promoted")
    assert "accepted by its gate" in tagline("models", "steps", "lapse_risk").out
    assert "Did you mean 'lapse_risk'" in tagline("models", "steps", "lapse").err


@slow
def test_a_day_is_a_midnight_of_the_business_and_an_instant_is_itself(shop: SmallShop) -> None:
    catalog = shop.deployment.catalog
    assert instant(catalog, "2017-10-01") == DAY
    assert instant(catalog, "2017-10-01T06:00:00+02:00") == DAY + timedelta(hours=4)
    assert instant(catalog, "2017-10-01T06:00:00") == DAY + timedelta(hours=6)
    with pytest.raises(WrongUsage, match="neither a day"):
        instant(catalog, "yesterday")


def test_the_command_line_starts_without_heavy_libraries() -> None:
    import subprocess

    heavy = ["airflow", "great_expectations", "mlflow", "sklearn", "pyspark", "matplotlib"]
    heavy += ["pandas", "pyiceberg"]
    code = f"import sys, tagline.cli; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
