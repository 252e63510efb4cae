"""JSON Schemas of the definition files agree with what is checked; the reference is up to date."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from tagline.catalog import load_catalog
from tagline.cli import main
from tagline.definitions import DataType
from tagline.expressions import Scope, parse_aggregate, parse_value
from tagline.expressions.functions import FUNCTIONS, SPECIAL, Function
from tagline.schemas import FILES, SHAPES, schema_file, schema_of
from tagline.schemas.reference import reference
from tagline.settings import PROJECT

ROOTS = (PROJECT / "include", PROJECT / "tests" / "fleet", PROJECT / "tests" / "tickets")


def files(kind: str) -> list[Path]:
    found = [path for root in ROOTS for path in sorted(root.glob(FILES[kind]))]
    return [path for path in found if kind != "tag" or path.name != "theme.yaml"]


def in_json(value: Any) -> Any:
    """What a YAML file holds, in the types of JSON, as an editor sees it."""
    if isinstance(value, dict):
        return {str(key): in_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [in_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def validator(kind: str) -> Any:
    return jsonschema.Draft202012Validator(schema_of(kind))


@pytest.mark.parametrize("kind", SHAPES)
def test_every_definition_file_meets_its_schema(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(kind))
    checked, found = validator(kind), files(kind)
    assert found
    for path in found:
        errors = list(checked.iter_errors(in_json(yaml.safe_load(path.read_text("utf-8")))))
        assert not errors, (path, errors[0].message)


def places(data: Any, location: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield (*location, key)
        if isinstance(value, dict | list):
            yield from places(value, (*location, key))


def misspelt(holder: Any, key: Any) -> None:
    if isinstance(holder, dict):
        holder[f"{key}q"] = holder.pop(key)


def replaced(value: Any) -> Callable[[Any, Any], None]:
    def replace(holder: Any, key: Any) -> None:
        holder[key] = copy.deepcopy(value)

    return replace


MUTATIONS: tuple[Callable[[Any, Any], None], ...] = (
    misspelt,
    lambda holder, key: holder.pop(key),
    replaced({"no": "thing"}),
    replaced(["No such thing!"]),
    replaced("No such thing!"),
    replaced(-3.5),
    replaced(None),
)
# arguments and zones by their names; of a multi-class model, keys that depend on each other
TOLD_BY_CHECK_ALONE = re.compile(
    r"\.with(\.|$)|timezone"
    r"|^multiclass (classes\b|rule\.means\b|features\.|known_in_part\.|(label|horizon|panels)$)"
)


def one_of_each(kind: str) -> list[Path]:
    """A file of each variety: the one with most keys."""
    best: dict[Any, tuple[int, Path]] = {}
    for path in files(kind):
        data = yaml.safe_load(path.read_text("utf-8"))
        said = {"tag": "kind", "source": "type", "model": "task"}
        variety = data.get(said[kind]) if kind in said else None
        best[variety] = max(best.get(variety, (0, path)), (len(data), path))
    return [path for _, path in best.values()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_what_is_refused_for_its_shape_is_refused_by_the_schema(kind: str) -> None:
    shape, checked, refused = TypeAdapter[Any](SHAPES[kind]), validator(kind), 0
    for path in one_of_each(kind):
        data = yaml.safe_load(path.read_text("utf-8"))
        for location in list(places(data))[:50]:
            for mutate in MUTATIONS:
                mutant = copy.deepcopy(data)
                holder = mutant
                for part in location[:-1]:
                    holder = holder[part]
                mutate(holder, location[-1])
                shown = ".".join(map(str, location))
                try:
                    shape.validate_python(mutant)
                except ValidationError as error:
                    if TOLD_BY_CHECK_ALONE.search(f"{data.get('task', kind)} {shown}"):
                        continue
                    refused += 1
                    assert not checked.is_valid(in_json(mutant)), (path.name, shown, error)
    assert refused > 20


@pytest.mark.parametrize("kind", SHAPES)
def test_every_key_of_a_schema_is_explained(kind: str) -> None:
    schema = schema_of(kind)
    shapes = [schema, *schema.get("$defs", {}).values()]
    keys = [key for shape in shapes for key in shape.get("properties", {}).items()]
    assert keys
    assert [name for name, key in keys if not key.get("description", "").endswith(".")] == []


@pytest.mark.parametrize("written", ["90 days", "1 hour", "2 weeks", "30 seconds", "5 minutes"])
def test_a_duration_is_written_as_in_definitions(written: str) -> None:
    data = yaml.safe_load((ROOTS[0] / "tags/value/amount/order_amount_90d.yaml").read_text())
    checked = validator("tag")
    assert checked.is_valid(in_json(data | {"window": written}))
    for wrong in (written.replace(" ", ""), "P90D", 90, written.rstrip("s") + "ly"):
        assert not checked.is_valid(in_json(data | {"window": wrong}))


# The command and the pages


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["schema", *arguments])
    return int(ended.value.code or 0), capsys.readouterr().out


def test_schemas_are_printed_and_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out = told(capsys, "tag")
    assert (code, json.loads(out)) == (0, schema_of("tag"))
    assert told(capsys, "--write", str(tmp_path / "schemas"))[0] == 0
    for kind in SHAPES:
        assert json.loads((tmp_path / "schemas" / schema_file(kind)).read_text()) == schema_of(kind)
    assert told(capsys)[0] == 2
    assert told(capsys, "tag", "--docs")[0] == 2
    assert told(capsys, "tags")[0] == 1


def test_the_settings_for_an_editor_name_every_schema_and_its_files() -> None:
    text = (PROJECT / "docs" / "add-a-tag.md").read_text("utf-8")
    found = re.search(r"```json\n(.*?)```", text, flags=re.DOTALL)
    assert found
    shown = json.loads(found[1])["yaml.schemas"]
    assert shown == {f".schemas/{schema_file(kind)}": f"include/{FILES[kind]}" for kind in FILES}


def test_the_reference_is_what_the_program_prints() -> None:
    """If not: `tagline schema --docs > docs/tags.md`, and look at the difference."""
    page = (PROJECT / "docs" / "tags.md").read_text("utf-8")
    assert page == reference(load_catalog(PROJECT / "include", "grocer"))


SAMPLES = {
    DataType.BOOLEAN: "flag", DataType.INTEGER: "whole", DataType.NUMBER: "share",
    DataType.TEXT: "word", DataType.DATE: "day", DataType.TIMESTAMP: "moment",
    DataType.TEXT_LIST: "words",
}  # fmt: skip
SCOPE = Scope(
    {name: kind for kind, name in SAMPLES.items()},
    {"name": DataType.INTEGER},
    {"tag": DataType.TEXT},
)


LITERALS = {"round": "2", "quantile_cont": "0.5"}  # a column cannot stand there
KNOWN: list[Function] = list(dict.fromkeys(FUNCTIONS.values()))


@pytest.mark.parametrize("function", KNOWN, ids=lambda each: each.name)
def test_a_function_is_typed_as_the_reference_says(function: Function) -> None:
    parse = parse_aggregate if function.is_aggregate else parse_value
    given = [min(types) for types in function.arguments]
    wanted = function.result if isinstance(function.result, DataType) else given[function.result]
    for count in range(len(given) - function.optional, len(given) + 1):
        words = [SAMPLES[kind] for kind in given[:count]]
        if len(words) > 1 and function.name in LITERALS:
            words[1] = LITERALS[function.name]
        text = f"{function.name}({', '.join(words)})"
        assert parse(text, SCOPE).type is wanted, text


@pytest.mark.parametrize("usage", [usage for usage, _ in SPECIAL.values()])
def test_a_special_form_is_written_as_the_reference_says(usage: str) -> None:
    for form in usage.split("), "):
        text = form if form.endswith((")", "end")) else f"{form})"
        text = re.sub(r"\bmoment\b", "moment", re.sub(r"\bany\b", "word", text))
        text = re.sub(r"\bboolean\b", "flag", text).replace(", …", "")
        parse = parse_aggregate if text.startswith("count") else parse_value
        parse(text, SCOPE)
