"""`tagline preview`: a draft's values in the live population, without a release."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import drop_databases
from tests.till import FIRST, SALES, TAGS, Shop, define, sell

from tagline.cli import main
from tagline.deployment import Deployment, open_deployment
from tagline.settings import Settings

pytestmark = pytest.mark.slow
LIVE = FIRST + timedelta(days=3)  # amounts of the last two days: a 65, b 90, c 110
Answer = tuple[int, Any, str]
Drafted = Callable[..., Callable[..., Answer]]


@pytest.fixture(scope="module")
def released(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The till with two days released."""
    folder = tmp_path_factory.mktemp("preview")
    settings = Settings(
        business="preview", definitions=folder, home=folder / "home", database_url=postgres_url
    )
    define(folder, settings.business)
    sell(folder, SALES)
    with open_deployment(settings) as deployment:
        shop = Shop(deployment, folder)
        shop.run(2)
        shop.run(3)
        yield shop
    drop_databases(settings)


@pytest.fixture
def drafted(
    released: Shop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Drafted:
    """Commands in a work tree whose definitions were changed since the release."""

    def draft(**changes: dict[str, Any]) -> Callable[..., Answer]:
        define(tmp_path, "preview", {slug: TAGS[slug] | changes.get(slug, {}) for slug in TAGS})
        for slug in changes.keys() - TAGS.keys():
            define(tmp_path, "preview", {slug: changes[slug]})
        settings = released.deployment.settings.model_copy(update={"definitions": tmp_path})

        @contextmanager
        def opened(_settings: object = None) -> Iterator[Deployment]:
            with open_deployment(settings) as deployment:
                yield deployment

        monkeypatch.setattr("tagline.commands.console.settings", lambda _context: settings)

        def run(*arguments: str) -> Answer:
            with pytest.raises(SystemExit) as ended:
                main(arguments)
            told = capsys.readouterr()
            out = json.loads(told.out) if "--json" in arguments and told.out else told.out
            return int(ended.value.code or 0), out, told.err

        return run

    return draft


LOWER = {"cases": [TAGS["grade"]["cases"][0] | {"when": "amount_2d >= 85"}]}


def test_a_changed_rule_is_compared_with_the_live_release(drafted: Drafted, released: Shop) -> None:
    before = [(each.id, each.status) for each in released.deployment.registry.releases()]
    code, found, _ = drafted(grade=LOWER)("preview", "grade", "--json")
    assert code == 0
    assert found["as_of"] == LIVE.isoformat()
    assert found["version"] != found["live_version"]
    assert found["summary"]["top"] == [["good", 2], ["plain", 1]]
    assert (found["summary"]["rows"], found["summary"]["coverage"]) == (3, 1.0)
    assert found["compared"] == {"same": 2, "gains": 0, "loses": 0, "changes": 1}
    assert found["rows"] == [
        {"customer_id": "b", "value": "good", "because": "Bought for 90.", "live": "plain"},
        {"customer_id": "a", "value": "plain", "because": "Bought for 65 only.", "live": "plain"},
        {"customer_id": "c", "value": "good", "because": "Bought for 110.", "live": "good"},
    ]
    registry = released.deployment.registry
    assert [(each.id, each.status) for each in registry.releases()] == before
    assert found["version"] not in {
        version.version for version, _ in registry.tag_versions("grade")
    }
    assert list((released.deployment.settings.home_path / "scratch").iterdir()) == []


def test_a_new_tag_and_an_unchanged_one_are_shown_with_their_spread(drafted: Drafted) -> None:
    new = {"kind": "rank", "of": "amount_2d", "into": 3, "best": "high", "type": "integer"}
    run = drafted(amount_third=new)
    found = run("preview", "amount_third", "--rows", "1", "--json")[1]
    assert (found["live_version"], found["compared"]) == (None, None)
    assert (found["summary"]["min"], found["summary"]["max"]) == (1, 3)
    assert [set(row) for row in found["rows"]] == [{"customer_id", "value", "because"}]
    found = run("preview", "amount_2d", "--json")[1]
    assert found["compared"] == {"same": 3, "gains": 0, "loses": 0, "changes": 0}
    assert (found["summary"]["min"], found["summary"]["max"]) == (65, 110)
    code, text, _ = run("preview", "amount_2d")
    assert code == 0
    assert "against release" in text
    assert "quantiles" in text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["grad"], 1, "Did you mean 'grade'?"),
        (["grade", "--rows", "-1"], 2, "--rows"),
        (["at_risk"], 2, "is unavailable: preview has no table visits"),
    ],
)
def test_what_cannot_be_previewed_is_told(
    drafted: Drafted, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    run = drafted()
    gone = {"kind": "statistic", "table": "visits", "value": "count(*)", "type": "integer"}
    define(tmp_path, "preview", {"at_risk": gone})
    table = (tmp_path / "tables" / "orders.yaml").read_text("utf-8")
    (tmp_path / "tables" / "visits.yaml").write_text(table, "utf-8")
    source = (tmp_path / "sources" / "till.yaml").read_text("utf-8")
    (tmp_path / "sources" / "door.yaml").write_text(
        source.replace("  orders: snapshot", "  visits: snapshot"), "utf-8"
    )
    (tmp_path / "sql/sources/door").mkdir()
    for name, text in (("customers", "customers"), ("visits", "orders")):
        sql = (tmp_path / f"sql/sources/till/{text}.sql").read_text("utf-8")
        (tmp_path / f"sql/sources/door/{name}.sql").write_text(sql, "utf-8")
    found = run("preview", *arguments)
    assert found[0] == code
    assert said in found[2]


def test_a_plan_reads_the_release_before_too(drafted: Drafted) -> None:
    """On the day before, a and b were plain."""
    first, second = TAGS["grade"]["cases"]
    rises = second | {"when": "previous(grade) = 'plain' and amount_2d >= 60"}
    code, found, _ = drafted(grade={"cases": [first, rises]})("plan", "--json")
    assert code == 0
    (changed,) = found["tags"]
    assert (changed["tag"], changed["customers"]["changes"]) == ("grade", 2)
