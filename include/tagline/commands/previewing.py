"""preview: what a definition gives before it is released."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tagline.commands.console import (
    Context,
    Json,
    answer,
    answer_fields,
    answer_json,
    answer_table,
    asked,
    deployment,
    shown,
)


def preview(
    context: Context,
    slug: str,
    rows: Annotated[
        int, typer.Option("--rows", min=0, max=1000, metavar="N", help="How many examples to show.")
    ] = 10,
    as_json: Json = False,
) -> None:
    """Show the values of a tag's definition in the live population, without a release."""
    from tagline.serve.preview import preview as values

    with deployment(context) as opened:
        found = values(opened, slug, rows)
    if as_json:
        answer_json(found)
        return
    day = asked(opened.catalog, found["as_of"])
    answer_fields(_spread(found["summary"]), title=f"{slug} as of {day}, computed now")
    if found["compared"] is None:
        answer(f"release {found['release']} has no values of it to compare with")
    else:
        answer_fields(found["compared"], title=f"against release {found['release']}")
    if found["rows"]:
        columns = list(found["rows"][0])
        answer_table(columns, [[row[name] for name in columns] for row in found["rows"]])


def _spread(summary: dict[str, Any]) -> dict[str, Any]:
    """What a person looks at of a summary."""
    fields = {name: summary[name] for name in ("rows", "coverage", "distinct")}
    if summary["quantiles"]:
        fields |= {"min": summary["min"], "quantiles": summary["quantiles"], "max": summary["max"]}
        fields["mean"] = summary["mean"]
    if summary["top"]:
        most = [f"{value}: {shown(count)}" for value, count in summary["top"]]
        fields["most frequent"] = "\n".join(most)
    return {name: value for name, value in fields.items() if value is not None}
