"""check, tags, tag and sql: what is defined."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tagline.commands.console import (
    AsOf,
    Context,
    Json,
    answer,
    answer_fields,
    answer_json,
    answer_table,
    deployment,
    instant,
    now,
    open_catalog,
    settings,
)
from tagline.errors import DefinitionError, Fault
from tagline.serve.descriptions import reading_models, reading_tags, scorecard, summary

if TYPE_CHECKING:
    from tagline.catalog import Tag


def check(
    context: Context,
    examples: Annotated[
        bool, typer.Option("--examples", help="Run the definitions' own examples too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Validate every definition of the project; list all faults with file and line."""
    from tagline.bindings import bind_sql
    from tagline.engines.duckdb import local_engine

    faults: list[Fault] = []
    counts: dict[str, int] = {}
    try:
        catalog = open_catalog(context)
        counts = {
            "sources": len(catalog.sources),
            "tables": len(catalog.tables),
            "tags": len(catalog.tags),
            "unavailable": len(catalog.unavailable),
            "models": len(catalog.models),
        }
        engine = local_engine(settings(context))
        faults.extend(bind_sql(catalog, engine))
        if examples:
            from tagline.examples import run_examples

            counts["examples"], wrong = run_examples(catalog, engine)
            faults.extend(wrong)
    except DefinitionError as error:
        faults.extend(error.faults)
    if as_json:
        answer_json({**counts, "faults": [asdict(fault) for fault in faults]})
    elif not faults:
        answer("definitions are good: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    if faults:
        raise DefinitionError(faults)


def tags(context: Context, as_json: Json = False) -> None:
    """List the tags of this business, with those that it cannot have."""
    catalog = open_catalog(context)
    listed = [summary(tag) for tag in sorted(catalog.tags.values(), key=_place)]
    if as_json:
        answer_json({"tags": listed, "unavailable": dict(catalog.unavailable)})
        return
    rows = [
        (
            f"{each['theme']} / {each['dimension']}",
            each["slug"],
            each["name"]["en"],
            each["name"]["zh"],
            each["kind"],
            each["type"],
            each["unit"],
            each["owner"],
        )
        for each in listed
    ]
    answer_table(("theme", "tag", "name", "名称", "kind", "type", "unit", "owner"), rows)
    if catalog.unavailable:
        answer_table(("tag", "reason"), list(catalog.unavailable.items()), title="unavailable")


def tag(context: Context, slug: str, as_json: Json = False) -> None:
    """Show one tag: its definition, versions, lineage and scorecard of the live release."""
    with deployment(context) as opened:
        found = opened.catalog.tag(slug)
        document = {
            **summary(found),
            "definition": found.definition.model_dump(
                mode="json", by_alias=True, exclude_defaults=True
            ),
            "versions": [
                {
                    "version": version.version,
                    "state": state.state if state else None,
                    "first_seen_at": version.first_seen_at,
                }
                for version, state in opened.registry.tag_versions(slug)
            ],
            "lineage": {
                "table": found.table,
                "reads": list(found.reads),
                "read_by": reading_tags(opened.catalog, slug)
                + [f"model {name}" for name in reading_models(opened.catalog, slug)],
            },
            "scorecard": scorecard(opened.registry.live(), slug),
        }
    if as_json:
        answer_json(document)
        return
    import yaml

    written = {key: value for key, value in document["definition"].items() if key != "examples"}
    answer(yaml.safe_dump(written, allow_unicode=True, sort_keys=False, width=100))
    for key in ("lineage", "scorecard"):
        answer_fields(document[key] or {"": "nothing is released yet"}, title=f"{slug}: {key}")
    answer_table(
        ("version", "state", "first seen"),
        [tuple(version.values()) for version in document["versions"]],
        title=f"{slug}: versions",
    )


def sql(
    context: Context,
    slug: str,
    as_of: AsOf = None,
    files: Annotated[
        bool, typer.Option("--files", help="Count the lake's files that it reads, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the SQL that computes a tag as of a day (by default today), and what it reads."""
    from tagline.compile import compile_tags
    from tagline.compile.choices import choices, comment

    catalog = open_catalog(context)
    catalog.tag(slug)
    at = instant(catalog, as_of) if as_of else catalog.midnight(catalog.day(now()))
    if files:
        from tagline.compute import files_read
        from tagline.derived import derived_tables

        with deployment(context) as opened:
            derived = derived_tables(opened, at)
            compiler = partial(compile_tags, catalog, at, [slug], changed=derived.changed)
            compiled, made = derived.compiled(compiler, make=False)
            chosen = choices(compiled, files_read(opened, compiled, at, made))
    else:
        compiled = compile_tags(catalog, at, [slug])
        chosen = choices(compiled)
    if as_json:
        answer_json({"tag": slug, "as_of": at, **chosen, "sql": compiled.sql})
    else:
        answer(f"{comment(chosen)}\n{compiled.sql}")


def _place(tag: Tag) -> tuple[str, str, str]:
    return tag.theme, tag.dimension, tag.slug
