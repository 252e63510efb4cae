"""The pages say what is: settings, dependencies, commands, paths, links and definitions."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
import typer
from tests.definition_copies import copied_definitions

from tagline.catalog import Catalog, load_catalog
from tagline.cli import app
from tagline.definitions import ExtractionTag, ModelTag, RankTag, RuleTag, ScoreTag, StatisticTag
from tagline.definitions.source import FileTable, SqlTable
from tagline.engines import open_engine
from tagline.engines.duckdb import DuckDBEngine
from tagline.examples import run_examples
from tagline.expressions.functions import NAMES
from tagline.settings import PROJECT, Settings
from tagline.vocabularies.checks import run_vocabulary_examples

if TYPE_CHECKING:
    from tests.documents import PAGES, Block, blocks, headings, prose, spans
else:
    from documents import PAGES, Block, blocks, headings, prose, spans

DOCS = PROJECT / "docs"
README = PROJECT / "README.md"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
MADE = {block.path for page in PAGES for block in blocks(page) if block.path and not block.adds}
by_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix()
)


def first_cells(page: Path) -> list[str]:
    return re.findall(r"^\| ([^|]+) \|", prose(page), flags=re.MULTILINE)


# Lists that must be complete


def test_every_direct_dependency_has_its_line_and_no_line_is_stale() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    wanted += project["project"]["optional-dependencies"]["spark"]
    names = sorted(re.split(r"[^A-Za-z0-9._-]", name)[0].lower() for name in wanted)
    listed = [cell for cell in first_cells(DOCS / "dependencies.md") if cell != "package"]
    assert sorted(listed) == names


def test_every_setting_has_its_line_with_its_default_and_no_line_is_stale() -> None:
    lines = re.findall(r"^\| `TAGLINE_(\w+)` \| (.+?) \|", prose(DOCS / "settings.md"), re.M)
    shown = {name.lower(): default for name, default in lines}
    assert set(shown) == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, str | int):
            assert shown[name] == f"`{field.default}`"


def test_every_function_and_key_of_a_tag_is_named() -> None:
    page = DOCS / "add-a-tag.md"
    line = next(line for line in prose(page).splitlines() if line.startswith("`abs`"))
    assert re.findall(r"`(\w+)`", line) == sorted(NAMES)
    known = set(spans(page))
    for shape in (ExtractionTag, StatisticTag, RankTag, RuleTag, ScoreTag, ModelTag):
        assert set(shape.model_fields) <= known


def test_every_key_of_a_source_table_is_named() -> None:
    text = (DOCS / "add-a-source.md").read_text("utf-8")
    for shape in (FileTable, SqlTable):
        for key in shape.model_fields:
            assert f"`{key}`" in text, key


def test_decisions_are_numbered_and_have_the_three_parts() -> None:
    numbers = [int(page.name[:4]) for page in DECISIONS]
    assert numbers == list(range(1, len(DECISIONS) + 1))
    for page in DECISIONS:
        text = page.read_text("utf-8")
        assert text.startswith(f"# {page.name[:4]} ")
        assert re.findall("^## (.+)$", text, re.M) == ["Context", "Decision", "Consequences"]


# Names that must exist


@by_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), target
        assert not anchor or anchor in headings(there), target


@by_page
def test_paths_exist_in_the_project_or_are_made_by_the_page(page: Path) -> None:
    paths = re.compile(r"^(include|docs|tests|plugins|dags|benchmarks|examples)/[\w./-]+$")
    named = [span for span in spans(page) if paths.match(span)]
    named += [span for span in spans(page) if re.match(r"^\w+\.(toml|txt|md)$", span)]
    for path in named:
        assert (PROJECT / path).exists() or path in MADE, path


OF_TESTS = {"SCREENSHOTS", "TEST_CASES", "TEST_MUTANTS"}  # read by tests, not by the product


@by_page
def test_settings_that_are_mentioned_exist(page: Path) -> None:
    for name in re.findall(r"TAGLINE_([A-Z_]+)", page.read_text("utf-8")):
        known = name.lower() in Settings.model_fields or name in OF_TESTS | of_sources()
        assert known, name


def of_sources() -> set[str]:
    """Variables that the project's sources read."""
    texts = [path.read_text("utf-8") for path in (PROJECT / "include/sources").glob("*.yaml")]
    return {name for text in texts for name in re.findall(r"\$\{TAGLINE_([A-Z_]+)\}", text)}


@by_page
def test_make_targets_exist(page: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text()
    for line in [*commands(page), *spans(page)]:
        words = shlex.split(line) if line.startswith("make ") else []
        for word in words[1:]:
            name, value, _ = word.partition("=")
            known = rf"\$\((if )?{name}|ifdef {name}" if value else rf"^{name}:"
            assert re.search(known, makefile, re.M), line


def commands(page: Path) -> Iterator[str]:
    for block in blocks(page):
        if block.language == "sh":
            yield from block.text.splitlines()


def parse(line: str, *, whole: bool) -> None:
    """Let the command line parse a call; a mention need not have all arguments."""
    group: Any = typer.main.get_command(app)
    words = ["1" if word == "ID" else word for word in shlex.split(line)[1:]]
    context = group.make_context("tagline", list(words))
    rest = [*getattr(context, "_protected_args", ()), *context.args]
    if not rest:
        assert not whole
        return
    name, command, arguments = group.resolve_command(context, rest)
    while hasattr(command, "resolve_command") and arguments and arguments[0] in command.commands:
        context = command.make_context(name, list(arguments), parent=context)
        rest = [*getattr(context, "_protected_args", ()), *context.args]
        name, command, arguments = command.resolve_command(context, rest)
    if whole:
        command.make_context(name, list(arguments), parent=context)
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("--")} <= known | {"--help"}, line


@by_page
def test_commands_exist_with_these_options(page: Path) -> None:
    for line in commands(page):
        if line.startswith("tagline "):
            parse(line, whole=True)
    for span in spans(page):
        if span.startswith("tagline "):
            parse(span, whole=False)


@pytest.mark.parametrize(
    "line",
    ["tagline runs", "tagline run", "tagline profile 1 --day 2", "tagline audiences changes"],
)
def test_a_command_that_does_not_exist_would_be_seen(line: str) -> None:
    with pytest.raises(Exception, match=r"No such|Missing"):
        parse(line, whole=True)


def test_a_mention_of_an_option_that_does_not_exist_would_be_seen() -> None:
    parse("tagline run --json", whole=False)
    parse("tagline audiences changes NAME --ids", whole=False)
    with pytest.raises(AssertionError, match="--id"):
        parse("tagline audiences changes NAME --id", whole=False)
    with pytest.raises(AssertionError, match="--days"):
        parse("tagline run --days 2", whole=False)


# Definitions and code that must be good


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of which a page may change the definitions."""
    copied_definitions(tmp_path / "include")
    return tmp_path


def follow(project: Path, page: Path, business: str) -> Catalog:
    """Write the files of a page; the definitions must be good before one is replaced."""
    written: set[Path] = set()
    for block in blocks(page):
        if block.path is None:
            continue
        if project / block.path in written and not block.adds:
            load_catalog(project / "include", business)
        written.add(block.write(project))
    return load_catalog(project / "include", business)


def new_tags(*pages: Path) -> set[str]:
    paths = [block.path for page in pages for block in blocks(page)]
    return {Path(path).stem for path in paths if path and path.startswith("include/tags/")}


def test_the_tags_that_the_pages_add_are_good_definitions(project: Path) -> None:
    before = load_catalog(project / "include", "grocer")
    assert set(follow(project, README, "grocer").tags) - set(before.tags) == new_tags(README)
    after = follow(project, DOCS / "add-a-tag.md", "grocer")
    assert set(after.tags) - set(before.tags) == new_tags(README, DOCS / "add-a-tag.md")
    assert set(after.standards) - set(before.standards) == {"coupon_user_orders"}


def test_the_score_and_the_policy_that_the_page_adds_are_good_definitions(project: Path) -> None:
    page = DOCS / "grades.md"
    before = load_catalog(project / "include", "grocer")
    after = follow(project, page, "grocer")
    listed = [cell.strip("`") for cell in first_cells(page) if cell.startswith("`")]
    assert len(listed) == 6
    assert set(after.tags) - set(before.tags) == {"buying_score", *listed}
    few = {tag.slug: tag for tag in after.closure(["buying_score"])}
    count, wrong = run_examples(replace(after, tags=few), open_engine(Settings(threads=1)))
    assert count > 0 and not wrong


def test_the_source_that_the_page_adds_is_a_good_definition(project: Path) -> None:
    catalog = follow(project, DOCS / "add-a-source.md", "corner_shop")
    assert set(catalog.tables) == {"customers", "orders", "order_gaps"}
    assert catalog.sources["corner_shop"].type == "sql"


def test_the_vocabulary_that_the_page_adds_finds_what_its_examples_say(
    project: Path, tmp_path: Path
) -> None:
    catalog = follow(project, DOCS / "vocabularies.md", "grocer")
    engine = DuckDBEngine("500MB", 1, str(tmp_path / "spilled"))
    count, faults = run_vocabulary_examples(catalog, engine)
    assert count >= 5 and faults == []


def test_the_profile_in_the_readme_has_the_tags_of_today() -> None:
    tags = load_catalog(PROJECT / "include", "grocer").tags
    (shown,) = (block for block in blocks(README) if block.language == "")
    for line in shown.text.splitlines():
        words = line.split()
        assert tags[words[0]].version == words[-1], line


def test_the_step_that_the_page_adds_fits_between_two_of_the_dag(project: Path) -> None:
    code, lines = (block for block in blocks(DOCS / "add-a-task.md") if block.language == "python")
    before, added, after = lines.text.splitlines()
    assert f"{before}\n{after}\n" in (PROJECT / "dags" / "customer_tags.py").read_text()
    calls = re.search(r'step\("\w+", "tagline_airflow\.(\w+):(\w+)"\)', added)
    assert calls
    assert code.path == f"plugins/tagline_airflow/{calls[1]}.py"
    assert report_of(code, calls[2]) == ["from 100 USD on, an order is large"]


def report_of(code: Block, function: str) -> object:
    found: dict[str, Any] = {}
    exec(compile(code.text, str(code.path), "exec"), found)
    deployment = SimpleNamespace(catalog=load_catalog(PROJECT / "include", "grocer"))
    at = datetime(2017, 10, 1, tzinfo=UTC)
    return found[function](deployment, "run", at, at)


def test_pictures_are_well_formed() -> None:
    pictures = list(DOCS.glob("*.svg"))
    assert pictures
    for picture in pictures:
        assert ElementTree.parse(picture).getroot().tag.endswith("svg")
