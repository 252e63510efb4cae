"""Runs the examples in definition files: their own tests, through the compiler and the engine."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any

from tagline.catalog import Catalog, Tag
from tagline.compile import Compiled, compile_over, compile_tags
from tagline.compile.previous import previous_table
from tagline.compute import column_types
from tagline.definitions import DataType, ManualTag, RankTag, RuleTag, ScoreTag
from tagline.definitions.files import read_file
from tagline.definitions.tag import Example
from tagline.engines import Engine, Relation
from tagline.errors import Fault, TaglineError
from tagline.expressions import previous_name
from tagline.references import holder_since
from tagline.serve.reasons import reason_of
from tagline.subjects import SUBJECTS
from tagline.vocabularies.checks import run_vocabulary_examples

EXAMPLE = "example"  # the key of what an example is about
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)


def run_examples(catalog: Catalog, engine: Engine) -> tuple[int, list[Fault]]:
    """Run all examples, of vocabularies too; the number run, and a fault for each wrong result."""
    count, faults = run_vocabulary_examples(catalog, engine)
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
    if example.because is not None and isinstance(tag.definition, RuleTag | ScoreTag):
        said = reason_of(tag.slug, tag.definition, {})({**(example.tags or {}), **rows[0]})
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


def _over_rows(
    catalog: Catalog, engine: Engine, tag: Tag, example: Example, as_of: datetime, folder: Path
) -> list[dict[str, Any]]:
    catalog = replace(catalog, derived={})  # the rows given are the derived table's own
    read = dict.fromkeys(catalog.tags[slug].subject for slug in tag.reads)
    given = {subject.name: f"given_{subject.table}" for subject in read}
    compiled = compile_tags(catalog, as_of, [tag.slug], given=given)
    stored = _stored_rows(catalog, tag, example)
    found: dict[str, Relation] = {}
    for subject in read:  # the tags of the rows, which are one row each
        types = {subject.key: DataType.TEXT}
        types |= {slug: catalog.tags[slug].definition.type for slug in tag.reads}
        path = folder / f"given_{subject.table}.parquet"
        rows = stored[subject.table]
        found[given[subject.name]] = _relation(path, types, rows, catalog.zone)
    for name, columns in compiled.tables.items():
        types = column_types(catalog, name, columns)
        found[name] = _relation(
            folder / f"{name}.parquet", types, stored.get(name, []), catalog.zone
        )
        if name in compiled.superseded:
            keys = (*catalog.tables[name].key, "valid_at", "loaded_at", "until_at", "recorded_at")
            found[f"{name}__superseded"] = _relation(
                folder / f"{name}__superseded.parquet",
                column_types(catalog, name, keys),
                _ended(stored.get(name, []), catalog.tables[name].key),
                catalog.zone,
            )
    return _fetch(engine, compiled, found)


def _stored_rows(catalog: Catalog, tag: Tag, example: Example) -> dict[str, list[dict[str, Any]]]:
    """Rows of stored tables that give the example's rows, referenced tables included."""
    table = tag.table or ""
    definition = catalog.tables[table]
    stored: dict[str, list[dict[str, Any]]] = {table: []}
    for number, given in enumerate(example.rows or (), start=1):
        row: dict[str, Any] = {
            name: _key_value(definition.columns[name].type, number) for name in definition.key
        }
        row |= given
        group = tag.subject.group_column(table, definition)
        if group is not None and not tag.via:
            row[group] = EXAMPLE
        if isinstance(tag.definition, ManualTag):
            row.setdefault("label_set", tag.definition.label_set)
        if tag.via and (holder := tag.meaning.via) is not None:
            row.setdefault(tag.via, EXAMPLE)
            row.setdefault(holder_since(tag.via), BEGINNING)
            row[holder.reference] = str(row.get(holder.reference, f"{holder.table} {number}"))
        dotted = {name: row.pop(name) for name in list(row) if "." in name}
        for alias in {name.rpartition(".")[0] for name in dotted}:
            reference = definition.columns[f"{alias}_id"].references or ""
            other_key = str(row.setdefault(f"{alias}_id", f"{alias} {number}"))
            far = {
                name.partition(".")[2]: value
                for name, value in dotted.items()
                if name.startswith(f"{alias}.")
            }
            known, referenced = stored.setdefault(reference, []), catalog.tables[reference]
            key, since = referenced.key[0], far.get("valid_at")
            if referenced.event_at is not None:  # a row without its instant is in no reader
                far.setdefault(referenced.event_at, BEGINNING)
            if all((each[key], each.get("valid_at")) != (other_key, since) for each in known):
                known.append({key: other_key, **far})
        stored[table].append(row)
    subject = tag.subject
    about = stored.setdefault(subject.table, [])
    if not any(row.get(subject.key) == EXAMPLE for row in about):
        about.append({subject.key: EXAMPLE})
    for each in SUBJECTS.values():
        for row in stored.get(each.table, []):
            row["since_at"] = row.get("since_at") or BEGINNING
    stored["identity"] = [{"customer_key": EXAMPLE, "customer_id": EXAMPLE}]
    return stored


def _key_value(kind: DataType, number: int) -> Any:
    """A key that tells the rows of an example apart, where they do not give it."""
    if kind in (DataType.DATE, DataType.TIMESTAMP):
        return BEGINNING.date() + timedelta(days=number)
    return number if kind in (DataType.INTEGER, DataType.NUMBER) else f"{number}"


def _ended(rows: Sequence[dict[str, Any]], key: Sequence[str]) -> list[dict[str, Any]]:
    """Entries that end each version of a key where its next one begins."""
    versions: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        versions.setdefault(tuple(row.get(name) for name in key), []).append(row)
    return [
        {**older, "until_at": newer["valid_at"], "recorded_at": BEGINNING}
        for chain in versions.values()
        for older, newer in pairwise(sorted(chain, key=lambda row: str(row.get("valid_at"))))
        if newer.get("valid_at") is not None
    ]


def _over_tags(
    catalog: Catalog, engine: Engine, tag: Tag, example: Example, as_of: datetime, folder: Path
) -> list[dict[str, Any]]:
    given = example.tags or {}
    many = isinstance(tag.definition, RankTag)
    size = max((len(value) for value in given.values()), default=1) if many else 1
    rows = []
    for number in range(size):
        row: dict[str, Any] = {tag.subject.key: f"{number:06}"}
        for slug in tag.reads:
            value = given.get(slug)
            row[slug] = value[number] if many and value is not None else value
        rows.append(row)
    types = {tag.subject.key: DataType.TEXT}
    types |= {slug: catalog.tags[slug].definition.type for slug in tag.reads}
    found = {"given": _relation(folder / "given.parquet", types, rows, catalog.zone)}
    compiled = compile_over(catalog, as_of, tag)
    for columns in compiled.previous.values():
        before = {slug: given.get(previous_name(slug)) for slug in tag.meaning.previous}
        key, name = tag.subject.key, previous_table(tag.subject)
        found[name] = _relation(
            folder / f"{name}.parquet",
            columns,
            [{key: row[key], **before} for row in rows],
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
    if name == "loaded_at" or (name == "valid_at" and value is None):
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
