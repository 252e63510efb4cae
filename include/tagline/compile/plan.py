"""Puts a query together: readers, statistics, then ranks and rules over the wide row."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast

from sqlglot import exp

from tagline.catalog import Catalog, Tag
from tagline.compile.compiled import Compiled
from tagline.compile.expressed import expressed
from tagline.compile.instant import Moment, instant, sql
from tagline.compile.judged import Judged
from tagline.compile.previous import previous_columns, previous_join
from tagline.compile.rows import Rows
from tagline.compile.statistics import TableStatistics
from tagline.definitions import (
    DataType,
    ExtractionTag,
    ManualTag,
    ModelTag,
    RankTag,
    StatisticTag,
)
from tagline.definitions.models import LabelQuery
from tagline.errors import WrongUsage
from tagline.sqlfiles import SqlFile
from tagline.subjects import CUSTOMER, SUBJECTS, Subject

_WIDE = tuple(f"{subject.prefix}wide_" for subject in SUBJECTS.values())


def compile_tags(
    catalog: Catalog,
    as_of: datetime,
    slugs: Iterable[str] | None = None,
    known_at: datetime | None = None,
    changed: frozenset[str] | None = None,
    subject: Subject | None = None,
    given: Mapping[str, str] | None = None,
    materialised: Collection[str] = (),
) -> Compiled:
    """The wide table of a subject's tags as of an instant, without what needs a model's output.

    `slugs` limits it to some tags (and returns only those), which are all of one subject; without
    them and `subject`, it is the customers'. `changed` names the tables that have superseded
    versions, where that is known. `given` names relations to read other subjects' tags from, by
    subject; otherwise the query computes what it needs of them. Derived tables that are
    `materialised` are relations, which hold what `compile_derived` gives for the same arguments.
    """
    moment = Moment(catalog, as_of, known_at)
    wanted = list(slugs) if slugs is not None else list(catalog.tags_of(subject or CUSTOMER))
    about = dict.fromkeys(catalog.tag(slug).subject for slug in wanted)
    if len(about) > 1:
        raise WrongUsage(f"tags of {' and '.join(each.table for each in about)} share no table")
    subject = subject or next(iter(about), CUSTOMER)
    tags = [tag for tag in catalog.closure(wanted) if not catalog.needs_model(tag.slug)]
    if slugs is not None and (lost := set(wanted) - {tag.slug for tag in tags}):
        raise WrongUsage(f"{', '.join(sorted(lost))}: made from a model's output")
    rows = Rows(moment, changed, frozenset(materialised))
    ctes: dict[str, str] = {}
    tag_rows = dict(given or {})
    for other in catalog.subjects:
        of_other = [tag for tag in tags if tag.subject is other]
        if of_other and other is not subject and other.name not in tag_rows:
            tag_rows[other.name] = _wide(moment, rows, ctes, of_other, other, {})
    own = [tag for tag in tags if tag.subject is subject]
    last = _wide(moment, rows, ctes, own, subject, tag_rows)
    kept = [tag for tag in own if slugs is None or tag.slug in wanted]
    made = [tag for tag in tags if tag.subject.name not in (given or {})]
    previous = previous_columns(catalog, made)
    return _assemble(moment, rows, ctes, last, kept, subject, previous)


def _wide(
    moment: Moment,
    rows: Rows,
    ctes: dict[str, str],
    tags: Sequence[Tag],
    subject: Subject,
    tag_rows: Mapping[str, str],
) -> str:
    """Add the queries of a subject's tags; the name of the one with all of them."""
    source = _ground(moment, rows, ctes, tags, subject, tag_rows)
    rest = [tag for tag in tags if not _is_ground(tag)]
    return _levels(moment, ctes, rest, source, subject.prefix)


def _is_ground(tag: Tag) -> bool:
    """Whether a tag is made of a subject's own rows, not of other tags."""
    return isinstance(tag.definition, ExtractionTag | StatisticTag | ManualTag)


def _ground(
    moment: Moment,
    rows: Rows,
    ctes: dict[str, str],
    tags: Sequence[Tag],
    subject: Subject,
    tag_rows: Mapping[str, str],
) -> str:
    """Add the queries of the tags that read no other tag of the subject; the name of the last."""
    key = subject.key
    population = rows.read(subject.table, (key,), by_customer=subject is CUSTOMER)
    shown, joins = [f"p.{key}"], ""
    ground = [tag for tag in tags if isinstance(tag.definition, ExtractionTag | StatisticTag)]
    for table, via in sorted({(tag.table or "", tag.via) for tag in ground}):
        of_table = [tag for tag in ground if (tag.table, tag.via) == (table, via)]
        part = TableStatistics(moment, rows, table, of_table[0].meaning.via, subject, tag_rows)
        extractions = [tag for tag in of_table if isinstance(tag.definition, ExtractionTag)]
        if extractions:
            part.extract(extractions)
        part.compile([tag for tag in of_table if isinstance(tag.definition, StatisticTag)])
        ctes |= part.ctes
        for name in part.joins:
            joins += f"\n  LEFT JOIN {name} ON {name}.{key} = p.{key}"
        for tag in of_table:
            value: exp.Expr = exp.maybe_parse(part.values[tag.slug], dialect="duckdb")
            shown.append(f'{sql(moment.cast(value, tag.definition.type))} AS "{tag.slug}"')
    manual = [tag for tag in tags if isinstance(tag.definition, ManualTag)]
    if manual:
        judged = Judged(moment, rows)
        judged.compile(manual)
        ctes |= judged.ctes
        joins += "".join(f"\n  LEFT JOIN {n} ON {n}.{key} = p.{key}" for n in judged.joins)
        for tag in manual:
            value = exp.maybe_parse(judged.values[tag.slug], dialect="duckdb")
            shown.append(f'{sql(moment.cast(value, tag.definition.type))} AS "{tag.slug}"')
    columns = ",\n    ".join(shown)
    first = f"{subject.prefix}wide_0"
    ctes[first] = f"SELECT\n    {columns}\n  FROM {population} AS p{joins}"
    return first


def compile_ground(
    catalog: Catalog,
    as_of: datetime,
    given: Mapping[str, str],
    changed: frozenset[str] | None = None,
    materialised: Collection[str] = (),
) -> Compiled:
    """What the customers' rows alone say of them; `compile_ranks_and_rules` goes on with it.

    The values of some customers are the same whoever else is in the tables `by_customer`. The
    arguments are as of `compile_tags`; all other subjects are given.
    """
    moment = Moment(catalog, as_of)
    rows = Rows(moment, changed, frozenset(materialised))
    tags = [tag for tag in _computed(catalog) if _is_ground(tag)]
    ctes: dict[str, str] = {}
    last = _ground(moment, rows, ctes, tags, CUSTOMER, given)
    return _assemble(moment, rows, ctes, last, tags, CUSTOMER, {})


def compile_ranks_and_rules(catalog: Catalog, as_of: datetime) -> Compiled:
    """The wide table as `compile_tags` gives it, over relation `ground` of all customers."""
    moment = Moment(catalog, as_of)
    tags = _computed(catalog)
    shown = "".join(f', g."{tag.slug}"' for tag in tags if _is_ground(tag))
    ctes = {"wide_0": f"SELECT g.customer_id{shown}\n  FROM ground AS g"}
    rest = [tag for tag in tags if not _is_ground(tag)]
    last = _levels(moment, ctes, rest, "wide_0")
    previous = previous_columns(catalog, rest)
    return _assemble(moment, Rows(moment), ctes, last, tags, CUSTOMER, previous)


def _computed(catalog: Catalog) -> list[Tag]:
    """The customers' tags that need no model."""
    tags = catalog.tags_of(CUSTOMER).values()
    return [tag for tag in tags if not catalog.needs_model(tag.slug)]


def compile_identity(
    catalog: Catalog, as_of: datetime, changed: frozenset[str] | None = None
) -> Compiled:
    """Which key of a source is which customer as of an instant: customer_key, customer_id."""
    rows = Rows(Moment(catalog, as_of), changed)
    columns = {"customer_key": DataType.TEXT, "customer_id": DataType.TEXT}
    select = f"SELECT customer_key, customer_id\nFROM {rows.read('identity', columns)}"
    stored = rows.stored()
    superseded = frozenset(table for table in stored if rows.reads_superseded(table))
    return Compiled(_with(rows.ctes(), select), stored, superseded, columns)


def compile_finish(
    catalog: Catalog,
    as_of: datetime,
    missing: Iterable[str],
    scored: Iterable[str],
    subject: Subject = CUSTOMER,
) -> Compiled:
    """A subject's final candidate: relation `candidate` plus what is made from models' outputs.

    Reads one relation `scores_<model>` (the key and the model's outputs) for each of `scored`,
    which tell of the subject. Tags in `missing` have no column.
    """
    moment, key = Moment(catalog, as_of), subject.key
    without = set(missing)
    tags = [tag for slug, tag in catalog.tags_of(subject).items() if slug not in without]
    computed = [tag for tag in tags if not catalog.needs_model(tag.slug)]
    later = [tag for tag in tags if catalog.needs_model(tag.slug)]
    outputs = [tag for tag in later if isinstance(tag.definition, ModelTag)]
    shown = [f"c.{key}"]
    shown += [f'c."{column}"' for tag in computed for column in tag.columns]
    for tag in outputs:
        definition = cast(ModelTag, tag.definition)
        shown.append(f'scores_{definition.model}."{definition.output}" AS "{tag.slug}"')
    joins = "".join(
        f"\n  LEFT JOIN scores_{model} ON scores_{model}.{key} = c.{key}"
        for model in sorted(scored)
    )
    columns = ",\n    ".join(shown)
    ctes = {"wide_0": f"SELECT\n    {columns}\n  FROM candidate AS c{joins}"}
    rest = [tag for tag in later if tag not in outputs]
    last = _levels(moment, ctes, rest, "wide_0")
    previous = previous_columns(catalog, rest)
    return _assemble(moment, Rows(moment), ctes, last, tags, subject, previous)


def compile_over(catalog: Catalog, as_of: datetime, tag: Tag) -> Compiled:
    """One rank or rule over relation `given`, which holds the key and the tags it reads."""
    moment = Moment(catalog, as_of)
    shown = ", ".join([f"g.{tag.subject.key}", *(f'g."{slug}"' for slug in tag.reads)])
    ctes = {"wide_0": f"SELECT {shown}\n  FROM given AS g"}
    last = _levels(moment, ctes, [tag], "wide_0")
    previous = previous_columns(catalog, [tag])
    return _assemble(moment, Rows(moment), ctes, last, [tag], tag.subject, previous)


def compile_label(
    catalog: Catalog, query: LabelQuery, as_of: datetime, subject: Subject = CUSTOMER
) -> Compiled:
    """A model's labels: what happened from as_of up to its horizon."""
    end = Moment(catalog, as_of).before(-query.horizon)
    file = catalog.label_sql(query.name)
    returned = {subject.key: DataType.TEXT, **query.columns}
    return _compile_file(file, catalog, end, returned, as_of, horizon_end=end)


def compile_input(
    catalog: Catalog,
    name: str,
    columns: Mapping[str, DataType],
    as_of: datetime,
    subject: Subject = CUSTOMER,
) -> Compiled:
    """An input query of a model: the key and `columns`, from what was so before as_of."""
    returned = {subject.key: DataType.TEXT, **columns}
    return compile_query(catalog, catalog.input_sql(name), returned, as_of)


def compile_query(
    catalog: Catalog, file: SqlFile, returned: Mapping[str, DataType], as_of: datetime
) -> Compiled:
    """A SELECT of `returned`, the key among them, from what was so before as_of."""
    return _compile_file(file, catalog, as_of, returned, as_of)


def _compile_file(
    file: SqlFile,
    catalog: Catalog,
    seen_until: datetime,
    returned: Mapping[str, DataType],
    as_of: datetime,
    **instants: datetime,
) -> Compiled:
    """One SELECT over the canonical tables as of `seen_until`, with names for instants."""
    rows = Rows(Moment(catalog, seen_until))
    for table in file.tables:
        rows.read(table, catalog.tables[table].columns)
    names = {
        name: cast(exp.Expr, exp.maybe_parse(instant(at), dialect="duckdb"))
        for name, at in (("as_of", as_of), *instants.items())
    }
    body = sql(file.bound(lambda table: f"{table}_rows", names))
    shown = ", ".join(returned)
    text = _with(rows.ctes(), f"SELECT {shown} FROM ({body}) AS answered")
    superseded = frozenset(table for table in rows.stored() if rows.reads_superseded(table))
    return Compiled(text, rows.stored(), superseded, returned)


def _levels(
    moment: Moment,
    ctes: dict[str, str],
    tags: Sequence[Tag],
    source: str,
    prefix: str = "",
) -> str:
    """Add what is made of other tags, a query per level of dependency; the name of the last."""
    left = list(tags)
    waiting = {tag.slug for tag in left}
    number = 0
    while left:
        ready = [tag for tag in left if not set(tag.reads) & waiting]
        number += 1
        shown, joins = ["w.*"], ""
        ranks = [tag for tag in ready if isinstance(tag.definition, RankTag)]
        for within in sorted({cast(RankTag, tag.definition).within or "" for tag in ranks}):
            name = f"{prefix}cutpoints_{number}" + (f"_{within}" if within else "")
            group = [tag for tag in ranks if (cast(RankTag, tag.definition).within or "") == within]
            ctes[name] = _cutpoints(group, source, within)
            joins += f"\n  CROSS JOIN {name}"
            if within:
                joins = joins.removesuffix(f"CROSS JOIN {name}")
                joins += f'LEFT JOIN {name} ON {name}.within IS NOT DISTINCT FROM w."{within}"'
            shown += [_rank(tag, name) for tag in group]
        joins += previous_join(ready)
        for tag in ready:
            shown += expressed(moment, tag)
        columns = ",\n    ".join(shown)
        target = f"{prefix}wide_{number}"
        ctes[target] = f"SELECT\n    {columns}\n  FROM {source} AS w{joins}"
        source = target
        left = [tag for tag in left if tag not in ready]
        waiting -= {tag.slug for tag in ready}
    return source


def _cutpoints(tags: Sequence[Tag], source: str, within: str) -> str:
    shown = [f'"{within}" AS within'] if within else []
    for tag in tags:
        definition = cast(RankTag, tag.definition)
        shares = ", ".join(repr(i / definition.into) for i in range(1, definition.into))
        shown.append(f'QUANTILE_DISC("{definition.of}", [{shares}]) AS "{tag.slug}"')
    group = f'\n  GROUP BY "{within}"' if within else ""
    return f"SELECT {', '.join(shown)}\n  FROM {source}{group}"


def _rank(tag: Tag, cutpoints: str) -> str:
    definition = cast(RankTag, tag.definition)
    above = " + ".join(
        f'CAST(w."{definition.of}" > {cutpoints}."{tag.slug}"[{i}] AS BIGINT)'
        for i in range(1, definition.into)
    )
    place = f"1 + {above}" if definition.best == "high" else f"{definition.into} - ({above})"
    return f'{place} AS "{tag.slug}"'


def _assemble(
    moment: Moment,
    rows: Rows,
    ctes: Mapping[str, str],
    last: str,
    tags: Sequence[Tag],
    subject: Subject,
    previous: Mapping[str, Mapping[str, DataType]],
) -> Compiled:
    key = subject.key
    columns: dict[str, DataType] = {key: DataType.TEXT, "as_of": DataType.TIMESTAMP}
    for tag in tags:
        columns |= tag.columns
    shown = ",\n  ".join(f'"{name}"' for name in columns if name not in (key, "as_of"))
    select = f"SELECT\n  {key},\n  {instant(moment.as_of)} AS as_of"
    select += (",\n  " + shown if shown else "") + f"\nFROM {last}\nORDER BY {key}"
    stored = rows.stored()
    superseded = frozenset(table for table in stored if rows.reads_superseded(table))
    text = _with({**rows.ctes(), **ctes}, select)
    by_customer = frozenset(stored) - rows.whole
    return Compiled(
        sql=text,
        tables=stored,
        superseded=superseded,
        columns=columns,
        previous=previous,
        by_customer=by_customer,
        since=rows.pruned(),
        scans=dict(rows.scans),
        derived=tuple(sorted(rows.derived)),
        materialised=rows.read_ready(),
    )


def _with(ctes: Mapping[str, str], select: str) -> str:
    """The whole query; the wide rows are kept, since a level reads them more than once."""
    if not ctes:
        return select
    parts = []
    for name, body in ctes.items():
        kept = "MATERIALIZED" if name.startswith(_WIDE) else "NOT MATERIALIZED"
        parts.append(f"{name} AS {kept} (\n  {body}\n)")
    return "WITH " + ",\n".join(parts) + "\n" + select
