"""Checks of what is about a subject: its canonical table, and tags that a model's cannot make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tagline.definitions import (
    AnyTag,
    DataType,
    ModelTag,
    StatisticTag,
    TableDefinition,
)
from tagline.definitions.files import DefinitionFile
from tagline.errors import Fault
from tagline.subjects import subject_of_table


def check_subject_table(file: DefinitionFile, name: str, table: TableDefinition) -> list[Fault]:
    """The key of a subject's table, and since when its rows count."""
    subject = subject_of_table(name)
    if subject is None:
        return []
    faults = []
    key = table.columns.get(subject.key)
    if table.key != (subject.key,):
        said = f"the key of {name} is [{subject.key}], since tags are released by it"
        faults.append(file.fault(("key",), said))
    elif key is not None and key.type is not DataType.TEXT:
        said = f"{subject.key} is {key.type.value}; the key of a subject is a text"
        faults.append(file.fault(("columns", subject.key, "type"), said))
    since = table.columns.get("since_at")
    if since is not None and since.type is not DataType.TIMESTAMP:
        said = f"since_at is {since.type.value}; it tells the instant from which a row counts"
        faults.append(file.fault(("columns", "since_at", "type"), said))
    return faults


def check_before_models(
    files: Mapping[str, DefinitionFile],
    tags: Mapping[str, AnyTag],
    reads: Mapping[str, Sequence[str]],
) -> list[Fault]:
    """A statistic over machines or opportunities names none of their tags that a model gives.

    Models answer after all statistics are made. `reads` are the tags that each reads, in order
    of dependency.
    """
    scored: set[str] = set()
    faults = []
    for slug, read in reads.items():
        late = sorted(scored & set(read))
        if late and isinstance(tags[slug], StatisticTag):
            said = f"{late[0]} is made from a model's output, which comes after all statistics"
            faults.append(files[slug].fault((), f"{said}; name tags that are made without one"))
        if late or isinstance(tags[slug], ModelTag):
            scored.add(slug)
    return faults
