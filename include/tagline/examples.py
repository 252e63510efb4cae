"""Runs the examples in tag files: each tag's own test, through the compiler and the engine."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any

from tagline.catalog import Catalog, Tag, case_column
from tagline.compile import Compiled, compile_over, compile_tags
from tagline.compile.previous import PREVIOUS
from tagline.compute import column_types
from tagline.definitions import DataType, RankTag, RuleTag
from tagline.definitions.files import read_file
from tagline.definitions.tag import Example
from tagline.engines import Engine, Relation
from tagline.errors import Fault, TaglineError
from tagline.expressions import previous_name
from tagline.meaning import PLACEHOLDER

CUSTOMER = "example"
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


def run_examples(catalog: Catalog, engine: Engine) -> tuple[int, list[Fault]]:
    """Run every example of every tag; the number run, and a fault for each wrong result."""
    count, faults = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for tag in catalog.tags.values():
            for index, example in enumerate(tag.definition.examples):
                count += 1
                target = Path(folder) / f"{tag.slug}-{index}"
                target.mkdir()
                try:
                    wrong = _wrong(catalog, engine, tag, example, target)
                except TaglineError as error:
                    wrong = str(error)
                if wrong:
                    file = read_file(catalog.root / tag.path, catalog.root)
                    message = f"example {index + 1}: {wrong}"
                    faults.append(file.fault(("examples", index), message))
    return count, faults


def _wrong(catalog: Catalog, engine: Engine, tag: Tag, example: Example, folder: Path) -> str:
    """What is wrong with an example's result; empty when it is as it says."""
    as_of = catalog.midnight(example.as_of)
    if example.rows is not None:
        rows = _over_rows(catalog, engine, tag, example, as_of, folder)
        got = rows[0][tag.slug] if rows else None
        return "" if _same(got, example.value) else _differs(got, example.value)
    rows = _over_tags(catalog, engine, tag, example, as_of, folder)
    values = [row[tag.slug] for row in rows]
    wanted = example.value if isinstance(tag.definition, RankTag) else [example.value]
    if len(values) != len(wanted) or not all(map(_same, values, wanted)):
        return _differs(values, wanted)
    if example.because is not None and isinstance(tag.definition, RuleTag):
        said = reason(tag.definition, rows[0][case_column(tag.slug)], example.tags or {})
        if said != example.because:
            return f"says {said!r}, not {example.because!r}"
    return ""


def _differs(got: Any, wanted: Any) -> str:
    """Both values as a tag file would write them."""
    found = got[0] if isinstance(got, list) and len(got) == 1 else got
    advice = ""
    if isinstance(found, float) and not math.isfinite(found):
        advice = "; where a divisor may be 0, divide by nullif(divisor, 0)"
    return f"gives {_written(got)}, not {_written(wanted)}{advice}"


def _written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if value is None:
        return "null"
    return repr(value).lower() if isinstance(value, bool) else repr(value)


def reason(definition: RuleTag, case: int, values: Mapping[str, Any]) -> str:
    """The words of the case that held, with values filled in."""
    from tagline.serve.reasons import spoken

    held = definition.cases[case] if case < len(definition.cases) else definition.otherwise
    return PLACEHOLDER.sub(lambda match: spoken(values.get(match[1])), held.because)


def _over_rows(
    catalog: Catalog, engine: Engine, tag: Tag, example: Example, as_of: datetime, folder: Path
) -> list[dict[str, Any]]:
    catalog = replace(catalog, derived={})  # the rows given are the derived table's own
    compiled = compile_tags(catalog, as_of, [tag.slug])
    stored = _stored_rows(catalog, tag, example)
    found: dict[str, Relation] = {}
    for name, columns in compiled.tables.items():
        types = column_types(catalog, name, columns)
        found[name] = _relation(
            folder / f"{name}.parquet", types, stored.get(name, []), catalog.zone
        )
        if name in compiled.superseded:
            keys = (*catalog.tables[name].key, "valid_at", "loaded_at", "until_at", "recorded_at")
            found[f"{name}__superseded"] = Relation((), column_types(catalog, name, keys))
    return _fetch(engine, compiled, found)


def _stored_rows(catalog: Catalog, tag: Tag, example: Example) -> dict[str, list[dict[str, Any]]]:
    """Rows of stored tables that give the example's rows, referenced tables included."""
    table = tag.table or ""
    definition = catalog.tables[table]
    stored: dict[str, list[dict[str, Any]]] = {table: []}
    for number, given in enumerate(example.rows or (), start=1):
        row: dict[str, Any] = dict.fromkeys(definition.key, f"{number}")
        row |= {name: value for name, value in given.items() if "." not in name}
        if definition.customer is not None:
            row[definition.customer] = CUSTOMER
        for alias in {name.rpartition(".")[0] for name in given if "." in name}:
            reference = definition.columns[f"{alias}_id"].references or ""
            other_key = str(row.setdefault(f"{alias}_id", f"{alias} {number}"))
            far = {
                name.partition(".")[2]: value
                for name, value in given.items()
                if name.startswith(f"{alias}.")
            }
            known = stored.setdefault(reference, [])
            if all(other[catalog.tables[reference].key[0]] != other_key for other in known):
                known.append({catalog.tables[reference].key[0]: other_key, **far})
        stored[table].append(row)
    people = stored.setdefault("customers", [])
    if not any(row.get("customer_id") == CUSTOMER for row in people):
        people.append({"customer_id": CUSTOMER})
    for person in people:
        person["since_at"] = person.get("since_at") or BEGINNING
    return stored


def _over_tags(
    catalog: Catalog, engine: Engine, tag: Tag, example: Example, as_of: datetime, folder: Path
) -> list[dict[str, Any]]:
    given = example.tags or {}
    many = isinstance(tag.definition, RankTag)
    size = max((len(value) for value in given.values()), default=1) if many else 1
    rows = []
    for number in range(size):
        row: dict[str, Any] = {"customer_id": f"{number:06}"}
        for slug in tag.reads:
            value = given.get(slug)
            row[slug] = value[number] if many and value is not None else value
        rows.append(row)
    types = {"customer_id": DataType.TEXT}
    types |= {slug: catalog.tags[slug].definition.type for slug in tag.reads}
    found = {"given": _relation(folder / "given.parquet", types, rows, catalog.zone)}
    compiled = compile_over(catalog, as_of, tag)
    if compiled.previous:
        before = {slug: given.get(previous_name(slug)) for slug in tag.meaning.previous}
        found[PREVIOUS] = _relation(
            folder / f"{PREVIOUS}.parquet",
            compiled.previous,
            [{"customer_id": row["customer_id"], **before} for row in rows],
            catalog.zone,
        )
    return _fetch(engine, compiled, found)


def _relation(
    path: Path, types: Mapping[str, DataType], rows: Sequence[Any], zone: tzinfo
) -> Relation:
    import pyarrow
    import pyarrow.parquet

    arrow = {
        DataType.BOOLEAN: pyarrow.bool_(),
        DataType.INTEGER: pyarrow.int64(),
        DataType.NUMBER: pyarrow.float64(),
        DataType.TEXT: pyarrow.string(),
        DataType.DATE: pyarrow.date32(),
        DataType.TIMESTAMP: pyarrow.timestamp("us", tz="UTC"),
        DataType.TEXT_LIST: pyarrow.list_(pyarrow.string()),
    }
    columns = {
        name: pyarrow.array([_stored_value(name, kind, row, zone) for row in rows], arrow[kind])
        for name, kind in types.items()
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return Relation((str(path),), dict(types))


def _stored_value(name: str, kind: DataType, row: Mapping[str, Any], zone: tzinfo) -> Any:
    """A value of an example as it is stored; a time without an offset is the business's."""
    value = row.get(name)
    if name in ("valid_at", "loaded_at"):
        return BEGINNING
    if kind is DataType.TIMESTAMP and isinstance(value, str):
        value = datetime.fromisoformat(value)
    if kind is DataType.TIMESTAMP and isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    if kind is DataType.DATE and isinstance(value, str):
        value = date.fromisoformat(value)
    if kind is DataType.TEXT and value is not None:
        value = str(value)
    return value


def _fetch(
    engine: Engine, compiled: Compiled, found: Mapping[str, Relation]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = engine.fetch(compiled.sql, found).to_pylist()
    return rows


def _same(got: Any, wanted: Any) -> bool:
    if isinstance(got, float) and isinstance(wanted, int | float):
        return math.isclose(got, wanted, rel_tol=1e-6, abs_tol=1e-6)
    if isinstance(got, date) and isinstance(wanted, str):
        return got.isoformat() == wanted
    return bool(got == wanted)
