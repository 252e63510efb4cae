"""Mutated definition files: what is wrong is told with file and line, and nothing crashes.

`TAGLINE_TEST_LOADS=1000` loads that many broken projects; `TAGLINE_TEST_SEED` makes others.
"""

from __future__ import annotations

import copy
import math
import os
import random
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.definition_copies import copied_definitions

from tagline.catalog import load_catalog
from tagline.compile import compile_tags
from tagline.definitions.files import read_file
from tagline.definitions.types import parse_duration
from tagline.errors import DefinitionError, TaglineError

LOADS = int(os.environ.get("TAGLINE_TEST_LOADS", "25"))
SEED = os.environ.get("TAGLINE_TEST_SEED", "1")
PLACE = re.compile(r"^[^:\n]+:\d+: \S")
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, -(10**400), math.inf, math.nan, 1e308, "", " ", "\n",
    "a", "x" * 5000, "金额", "😀", "\u202e", "{", "{}", "{x}", "%s", "../../etc/passwd", "/", "*",
    "null", "90 days", "-1 days", "99999999999 weeks", "0 days", "select 1", "count(*)", "as_of",
    "2017-02-30", date(1, 1, 1), date(9999, 12, 31), datetime(2017, 1, 1, tzinfo=UTC), b"\x00",
    [], {}, [[]], [None], [{}], {"a": None}, {"": ""}, {1: 2}, {None: 1}, {True: [1]},
    {date(2017, 1, 1): 1}, [1, "a", None], {"en": "A"}, [{"from": None, "value": None}],
    {"min": "a"}, [0, None], [None, "z"], [1, 0, -1],
)  # fmt: skip
TEXTS = (
    "---\n", "--- a\n", "&a ", "*a", "a: &a [*a]\n", "<<: *a\n", "<<: {a: 1}\n",
    "!!python/name:os.x ",
    "!!binary x", "!!set {a}", "!!timestamp 2017-99-99", "!x ", "\t", "\ufeff", "\x07", "\x85",
    "? a\n: b\n", "? [a]\n: b\n", "? {a: b}\n: c\n", "- ", "|\n", ">-\n", "'", '"', "#",
    "%YAML 9.9\n",
    "[" * 300, "{" * 300, "a: " * 50, "key: {en: A, zh: B}\n", "kind: rule\n", "0x", "1_0", "1e",
    ".nan",    "yes", "~", "=", "12:30:45", "0o17", "2017-01-01T25:00:00",
)  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's definitions to break."""
    root = tmp_path_factory.mktemp("mutated") / "include"
    return copied_definitions(root)


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Each holder of a value, with its key or index."""
    children = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in children:
        yield data, key
        if isinstance(value, dict | list):
            yield from places(value)


class Breaker:
    """Breaks the text of a file once to three times."""

    def __init__(self, texts: list[str], seed: str) -> None:
        self.chance = random.Random(seed)
        loaded = [yaml.safe_load(text) for text in texts]
        self.known = [holder[key] for data in loaded for holder, key in places(data)]
        self.keys = [key for data in loaded for holder, key in places(data) if isinstance(key, str)]

    def broken(self, text: str) -> str:
        change: Callable[[str], str] = self.chance.choice((self.data, self.data, self.text))
        return change(text)

    def value(self) -> Any:
        given = self.chance.choice(VALUES if self.chance.random() < 0.6 else self.known)
        return copy.deepcopy(given)

    def data(self, text: str) -> str:
        """Values and keys replaced, dropped, added, swapped or wrapped."""
        data, chance = yaml.safe_load(text), self.chance
        for _ in range(chance.choice((1, 1, 2, 3))):
            found = list(places(data))
            if not found:
                break
            holder, key = chance.choice(found)
            what = chance.randrange(7)
            if what == 0:
                del holder[key]
            elif what == 1 and isinstance(holder, dict):
                holder[chance.choice([*self.keys, 1, None, True, ""])] = holder.pop(key)
            elif what == 2 and isinstance(holder, dict):
                holder[chance.choice(self.keys)] = self.value()
            elif what == 3:
                other, place = chance.choice(found)
                holder[key] = copy.deepcopy(other[place])
            elif what == 4:
                holder[key] = [holder[key], holder[key]]
            else:
                holder[key] = self.value()
        return yaml.safe_dump(data, allow_unicode=True, sort_keys=False)

    def text(self, text: str) -> str:
        """Lines and characters dropped, repeated, moved or put in."""
        chance = self.chance
        lines = text.splitlines(keepends=True)
        number, place = chance.randrange(len(lines)), chance.randrange(len(text))
        match chance.randrange(6):
            case 0:
                del lines[number]
            case 1:
                lines.insert(chance.randrange(len(lines)), lines[number])
            case 2:
                lines[number] = " " * chance.randrange(1, 5) + lines[number]
            case 3:
                return text[:place]
            case 4:
                return text[:place] + chance.choice(TEXTS) + text[place:]
            case _:
                return text[:place] + text[place + chance.randrange(1, 9) :]
        return "".join(lines)


def faults_of(project: Path, business: str) -> list[str] | None:
    """Every fault found, each with its place; None where the definitions are good."""
    try:
        catalog = load_catalog(project, business)
        compile_tags(catalog, datetime(2017, 10, 1, tzinfo=UTC))
    except DefinitionError as error:
        return [str(fault) for fault in error.faults]
    except TaglineError as error:  # such as a business that is no more
        return [f"businesses:1: {error}"]
    return None


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.5], ids=["one file", "half of the files"])
def test_a_broken_definition_is_a_fault_with_file_and_line_and_never_a_crash(
    project: Path, share: float
) -> None:
    texts = {path: path.read_text("utf-8") for path in sorted(project.rglob("*.yaml"))}
    breaker = Breaker(list(texts.values()), f"{SEED}.{share}")
    broken, good, crashed = 0, 0, []
    for _ in range(LOADS):
        chosen = [path for path in texts if breaker.chance.random() < share]
        chosen = chosen or [breaker.chance.choice(list(texts))]
        for path in chosen:
            path.write_text(breaker.broken(texts[path]), "utf-8", errors="surrogateescape")
        broken += len(chosen)
        try:
            faults = faults_of(project, "grocer")
        except Exception:
            crashed.append(_culprit(project, chosen, texts))
            continue
        finally:
            for path in chosen:
                path.write_text(texts[path], "utf-8")
        good += faults is None
        for fault in faults or ():
            assert PLACE.match(fault), fault
    assert not crashed, "\n\n".join(sorted(crashed, key=len)[:10])
    print(f"{broken} broken files, {good} loads without a fault")


def _culprit(project: Path, chosen: list[Path], texts: dict[Path, str]) -> str:
    """The file that crashes the check by itself, with its text."""
    mutants = {path: path.read_text("utf-8") for path in chosen}
    for path in chosen:
        path.write_text(texts[path], "utf-8")
    for path, mutant in mutants.items():
        path.write_text(mutant, "utf-8")
        try:
            faults_of(project, "grocer")
        except Exception as error:
            return f"{path.name}: {type(error).__name__}: {error}\n{mutant[:3000]}"
        finally:
            path.write_text(texts[path], "utf-8")
    return f"no file alone, but {[path.name for path in chosen]} together"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: &a [*a]\n", "an alias stands inside of what it names"),
        ("name: &a {en: *a}\n", "an alias stands inside of what it names"),
    ],
)
def test_an_alias_inside_of_itself_is_a_fault(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(DefinitionError, match=f"^a.yaml:1: not valid YAML: {said}"):
        read_file(path, tmp_path)


def test_a_duration_that_leaves_the_calendar_is_refused() -> None:
    assert parse_duration("36500 days").days == 36_500
    for text in ("36501 days", "99999999999 weeks", f"{10**400} seconds"):
        with pytest.raises(ValueError, match="is longer than 36500 days"):
            parse_duration(text)
