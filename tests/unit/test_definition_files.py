"""Every key of every definition of the project, broken in every way, is found and explained."""

from __future__ import annotations

import copy
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tagline.catalog import load_catalog
from tagline.definitions.files import read_file
from tagline.errors import DefinitionError, TaglineError
from tagline.settings import PROJECT

DEFINITIONS = PROJECT / "include"
KINDS = (
    "businesses", "tables", "sources", "vocabularies", "sql", "tags", "models", "labels",
    "policies", "identity",
)  # fmt: skip
FOLDERS = tuple(name for name in (*KINDS, "standards.yaml") if (DEFINITIONS / name).exists())
FILES = sorted(
    path.relative_to(DEFINITIONS).as_posix()
    for folder in FOLDERS
    for path in [DEFINITIONS / folder, *(DEFINITIONS / folder).rglob("*.yaml")]
    if path.suffix == ".yaml"
)
ROUNDS = 60  # for the places of a file that do not lie near its top
FREE_KEYS = re.compile(  # maps whose keys are the author's own names
    r"^(tables|columns|feeds|dimensions|standards|expectations|values|terms|kinds|rule\.means)\.[^.]+$"
    r"|\.(columns|aliases|accepts|formats)\.[^.]+$|\.rows\.\d+\.|\.tags\."
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's definitions to break."""
    root = tmp_path_factory.mktemp("definitions")
    for name in FOLDERS:
        source = DEFINITIONS / name
        if not source.exists():
            continue
        copier = shutil.copytree if source.is_dir() else shutil.copy
        copier(source, root / name)
    return root


def faults_of(root: Path) -> list[str]:
    try:
        load_catalog(root, "grocer")
    except DefinitionError as error:
        return [str(fault) for fault in error.faults]
    return []


def keys(data: Any, location: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*location, key)
            yield from keys(value, (*location, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from keys(value, (*location, index))


def parent(data: Any, location: tuple[str | int, ...]) -> Any:
    for part in location[:-1]:
        data = data[part]
    return data


def test_the_definitions_of_the_project_are_free_of_faults(project: Path) -> None:
    assert faults_of(project) == []


Location = tuple[str | int, ...]
Mutate = Callable[[Any, Location], None]


def mutants(
    project: Path, places: Mapping[str, list[Location]], mutate: Mutate
) -> Iterator[tuple[str, Location, list[str]]]:
    """Break every file at some places at a time, all files at once; the faults of each file.

    All files at once, since loading a project takes longer than breaking it.
    """
    texts = {name: (project / name).read_text("utf-8") for name in places}
    data = {name: yaml.safe_load(text) for name, text in texts.items()}
    parts = {name: apart(found) for name, found in places.items()}
    try:
        for number in range(max(map(len, parts.values()))):
            broken = {name: found[number] for name, found in parts.items() if number < len(found)}
            for name, locations in broken.items():
                mutant = copy.deepcopy(data[name])
                for location in locations:
                    mutate(parent(mutant, location), location)
                write(project / name, mutant)
            faults = faults_of(project)
            for name, locations in broken.items():
                own = [fault for fault in faults if fault.startswith(f"{name}:")]
                for location in locations:
                    yield name, location, own
                (project / name).write_text(texts[name], "utf-8")
    finally:
        for name, text in texts.items():
            (project / name).write_text(text, "utf-8")


def apart(places: list[Location]) -> list[list[Location]]:
    """Places of a file to break together: those near its top alone, as they may hide others.

    Of the long lists of a file some are broken together, none of which lies within another, so
    that a file takes about as many rounds as most do.
    """
    found = [[place] for place in places if len(place) < 3]
    deep = [place for place in places if len(place) >= 3]
    for start in range(min(ROUNDS, len(deep))):
        together: list[Location] = []
        for place in deep[start::ROUNDS]:
            if any(place[: len(other)] == other for other in together):
                found.append([place])
            else:
                together.append(place)
        found.append(together)
    return found


def write(path: Path, data: Any) -> None:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    path.write_text(yaml.dump(data, Dumper=dumper, allow_unicode=True, sort_keys=False), "utf-8")


def shown(location: Location) -> str:
    return ".".join(map(str, location))


def all_places(project: Path) -> dict[str, list[Location]]:
    return {name: list(keys(yaml.safe_load((project / name).read_text("utf-8")))) for name in FILES}


def misspelt(key: str) -> str:
    return f"{key[:-1]}q{key[-1]}" if len(key) > 1 else f"{key}q"


@pytest.mark.slow
def test_every_misspelt_key_is_found_with_line_and_right_name(project: Path) -> None:
    def misspell(holder: Any, location: Location) -> None:
        holder[misspelt(str(location[-1]))] = holder.pop(location[-1])

    places = {
        name: [
            place
            for place in found
            if isinstance(place[-1], str)
            and not FREE_KEYS.search(shown(place))
            and not (name.startswith("businesses/") and place[0] == "quality" and len(place) == 2)
            and ".with." not in shown(place)
        ]
        for name, found in all_places(project).items()
    }
    count = 0
    for name, place, faults in mutants(project, places, misspell):
        count += 1
        line = read_file(project / name, project).line((*place[:-1], misspelt(str(place[-1]))))
        assert any(
            fault.startswith(f"{name}:{line}: unknown key {misspelt(str(place[-1]))!r}.")
            and (f"Did you mean {place[-1]!r}?" in fault or "Known:" in fault)
            for fault in faults
        ), (name, shown(place), faults)
    assert count > 1000


@pytest.mark.slow
def test_every_value_of_a_wrong_type_is_found_at_its_line(project: Path) -> None:
    def surprise(holder: Any, location: Location) -> None:
        holder[location[-1]] = {"surprise": [{"nested": 1}]}

    places = {
        name: [  # an example's cells and an expectation's arguments may be anything
            place for place in found if not re.search(r"examples|\.with\b|empty$", shown(place))
        ]
        for name, found in all_places(project).items()
    }
    count = 0
    for name, place, faults in mutants(project, places, surprise):
        count += 1
        read = read_file(project / name, project)
        first, last = read.line(place), read.line((*place, "surprise", 0, "nested"))
        lines = {int(fault.split(":")[1]) for fault in faults}
        assert lines & set(range(first, last + 1)), (name, shown(place), faults)
    assert count > 1000


@pytest.mark.slow
def test_every_dropped_key_is_optional_or_named_as_missing(project: Path) -> None:
    def drop(holder: Any, location: Location) -> None:
        del holder[location[-1]]

    places = {
        name: [place for place in found if isinstance(place[-1], str)]
        for name, found in all_places(project).items()
    }
    missing = 0
    for name, place, faults in mutants(project, places, drop):
        required = shown(place) in (
            "name",
            "description",
            "kind",
            "type",
            "owner",
            "key",
            "columns",
        )
        if required and shown(place) != "columns":
            assert any(f"missing key {place[-1]!r}" in fault for fault in faults), (name, place)
        for fault in faults:
            assert re.match(r"^[\w/.]+:\d+: \S", fault), fault
            missing += "missing key" in fault
    assert missing > 500


REFERENCES = {
    r"^table$": "table",
    r"^(of|within)$": "tag",
    r"^model$": "model",
    r"^kind$": "kind",
    r"^label$": "label",
    r"^features\.\d+$": "tag",
    r"^rule\.tag$": "tag",
    r"^sources\.\d+$": "source",
    r"^models\.\d+$": "model",
    r"^key\.\d+$": "column",
    r"^(customer|event_at)$": "column",
    r"\.references$": "table",
    r"^expectations\.\d+\.column$": "column",
    r"^expectations\.\d+\.expect$": "expectation",
    r"^tables\.\w+\.time$": "column",
}


def reference(location: Location) -> str | None:
    for pattern, kind in REFERENCES.items():
        if re.search(pattern, shown(location)) and "examples" not in location:
            return kind
    return None


@pytest.mark.slow
def test_every_unknown_reference_is_found_with_the_nearest_name(project: Path) -> None:
    right: dict[tuple[str, Location], str] = {}
    places: dict[str, list[Location]] = {}
    for name, found in all_places(project).items():
        data = yaml.safe_load((project / name).read_text("utf-8"))
        for place in found:
            value = parent(data, place)[place[-1]]
            if reference(place) and isinstance(value, str) and not name.endswith("theme.yaml"):
                places.setdefault(name, []).append(place)
                right[name, place] = value

    def misname(holder: Any, location: Location) -> None:
        holder[location[-1]] = misspelt(holder[location[-1]])

    folders: dict[str, dict[str, list[Location]]] = {}
    for name, found in places.items():  # a folder at a time: references cross them
        folders.setdefault(name.partition("/")[0], {})[name] = found
    count = 0
    for folder in folders.values():
        for name, place, faults in mutants(project, folder, misname):
            count += 1
            wrong = misspelt(right[name, place])
            line = read_file(project / name, project).line(place)
            assert any(
                re.match(rf"{name}:{line}: .*unknown {reference(place)} {wrong!r}", fault)
                and ("Did you mean" in fault or "Known:" in fault)
                for fault in faults
            ), (name, shown(place), faults)
    assert count == len(right)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("sum((select max(amount) from orders))", "no subquery"),
        ("sum(amount); drop table orders", "remove the semicolon"),
        ("max(now())", "looks at the clock"),
        ("sum(random())", "at chance"),
        ("frobnicate(amount)", "unknown function 'frobnicate'"),
        ("summ(amount)", "Did you mean 'sum'?"),
        ("sum(amont)", "unknown name 'amont'. Did you mean 'amount'?"),
        ("sum(status)", "status is text, where integer or number is needed"),
        ("count(*) filter (where amount > status)", "not allowed"),
        ("sum(amount) over ()", "window functions"),
        ("amount", "stands outside of an aggregate"),
        ("read_csv('/etc/passwd')", "unknown function 'read_csv'"),
    ],
)
def test_an_expression_that_is_not_pure_is_refused_in_its_file(
    project: Path, value: str, said: str
) -> None:
    path = project / "tags/value/amount/order_amount_90d.yaml"
    original = path.read_text("utf-8")
    try:
        write(path, {**yaml.safe_load(original), "value": value})
        line = read_file(path, project).line(("value",))
        faults = faults_of(project)
        assert len(faults) == 1
        assert faults[0].startswith(f"tags/value/amount/order_amount_90d.yaml:{line}: value: ")
        assert said in faults[0]
    finally:
        path.write_text(original, "utf-8")


def test_a_cycle_of_tags_is_named(project: Path) -> None:
    path = project / "tags/activity/status/is_dormant.yaml"
    original = path.read_text("utf-8")
    try:
        path.write_text(original.replace("recency_days", "is_overdue_twin"), "utf-8")
        twin = project / "tags/activity/status/is_overdue_twin.yaml"
        twin.write_text(
            "name: {en: Twin, zh: 双}\ndescription: Reads what reads it.\nkind: rule\nowner: crm\n"
            "type: integer\ncases: [{when: is_dormant, value: 1, because: it is}]\n"
            "otherwise: {value: 0, because: it is not}\n",
            "utf-8",
        )
        faults = faults_of(project)
        assert any("cycle: " in fault and "is_dormant" in fault for fault in faults), faults
    finally:
        path.write_text(original, "utf-8")
        twin.unlink()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold a mapping"),
        ("- a\n- b\n", "must hold a mapping"),
        ("name: {en: A, zh: 甲\nkind: rule", "not valid YAML.*between braces"),
        ("name: {en: A, zh: 甲}\ndescription: Orders: all\n", "not valid YAML.*in quotes"),
        ("kind: rule\n owner: crm\n", "not valid YAML.*same column"),
        ("name: {en: A, zh: 甲}\nname: {en: B, zh: 乙}\nkind: rule\n", "'name' is repeated"),
        ("\x00", "cannot be read|not valid YAML"),
    ],
)
def test_a_file_that_is_no_definition_is_a_fault_not_a_crash(
    project: Path, text: str, said: str
) -> None:
    path = project / "tags/value/amount/broken.yaml"
    path.write_text(text, "utf-8")
    try:
        faults = faults_of(project)
        assert any(re.search(said, fault) for fault in faults), faults
        assert all(fault.startswith("tags/value/amount/broken.yaml:") for fault in faults)
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("tags/activity/recency/Tenure_days.yaml", "'Tenure_days' is no name for a tag"),
        ("tags/activity/recency/tenure_days__case.yaml", "no name for a tag.*single underscores"),
        ("tags/activity/recency/as_of.yaml", "'as_of' is a column of the released table"),
        ("tags/activity/recency/customer_id.yaml", "'customer_id' is a column of the released"),
        ("tables/Order Lines.yaml", "'Order Lines' is no name for a table"),
        ("models/lapse-risk.yaml", "'lapse-risk' is no name for a model"),
        ("labels/life stage.yaml", "'life stage' is no name for a label set"),
    ],
)
def test_a_file_is_named_as_what_it_defines_may_be(project: Path, file: str, said: str) -> None:
    path = project / file
    like = {
        "tables": "tables/orders.yaml",
        "models": "models/lapse_risk.yaml",
        "labels": "labels/lifecycle_stage.yaml",
    }
    shutil.copy(project / like.get(path.parts[-2], "tags/activity/recency/tenure_days.yaml"), path)
    try:
        assert any(
            f"{file}:1: " in fault and re.search(said, fault) for fault in faults_of(project)
        )
    finally:
        path.unlink()


def test_faults_of_a_lists_items_do_not_make_it_too_short(project: Path) -> None:
    path = project / "tags/activity/status/is_dormant.yaml"
    original = path.read_text("utf-8")
    try:
        path.write_text(re.sub("(?m)^    because: .*$", "    because: x", original), "utf-8")
        faults = faults_of(project)
        assert len(faults) > 1 and all("because" in fault for fault in faults), faults
        path.write_text(re.sub("(?s)cases:.*otherwise", "cases: []\notherwise", original), "utf-8")
        assert any("cases: at least 1 is needed" in fault for fault in faults_of(project))
    finally:
        path.write_text(original, "utf-8")


def test_an_unknown_business_suggests_the_closest(project: Path) -> None:
    with pytest.raises(TaglineError, match=r"unknown business 'grocr'. Did you mean 'grocer'\?"):
        load_catalog(project, "grocr")
