"""Tags made of values that lie ready in files: those of a release, or computed before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from tagline.catalog import Catalog, Tag
from tagline.compile.compiled import Compiled
from tagline.compile.instant import Moment
from tagline.compile.plan import _levels, _with
from tagline.compile.previous import previous_columns
from tagline.definitions import DataType, ModelTag
from tagline.subjects import CUSTOMER, Subject


def compile_given(
    catalog: Catalog,
    as_of: datetime,
    given: Mapping[str, Mapping[str, DataType]],
    tags: Sequence[Tag],
    subject: Subject = CUSTOMER,
) -> Compiled:
    """The given columns and these ranks, rules and model outputs, a row per subject.

    `given` are relations with the columns to take of each, the key aside; the first holds the
    population, and a customer that another one lacks has nulls there. A model's output comes
    from relation `scores_<model>` (the key and its outputs).
    """
    first, *others = given
    key = subject.key
    shown = [f"{first}.{key}"]
    shown += [f'{name}."{column}"' for name, columns in given.items() for column in columns]
    joined = list(others)
    for tag in tags:
        if isinstance(tag.definition, ModelTag):
            scores = f"scores_{tag.definition.model}"
            shown.append(f'{scores}."{tag.definition.output}" AS "{tag.slug}"')
            joined.append(scores)
    joins = "".join(
        f"\n  LEFT JOIN {name} ON {name}.{key} = {first}.{key}" for name in dict.fromkeys(joined)
    )
    columns = ",\n    ".join(shown)
    ctes = {"wide_0": f"SELECT\n    {columns}\n  FROM {first}{joins}"}
    made = [tag for tag in tags if not isinstance(tag.definition, ModelTag)]
    last = _levels(Moment(catalog, as_of), ctes, made, "wide_0")
    returned: dict[str, DataType] = {key: DataType.TEXT}
    for relation in given.values():
        returned |= relation
    for tag in tags:
        returned |= tag.columns
    names = ",\n  ".join(f'"{name}"' for name in returned)
    return Compiled(
        _with(ctes, f"SELECT\n  {names}\nFROM {last}\nORDER BY {key}"),
        {},
        frozenset(),
        returned,
        previous_columns(catalog, made),
    )
