"""identity: why a key is which customer, and what people should look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from tagline.commands.console import (
    AsOf,
    Context,
    Json,
    answer,
    answer_json,
    answer_table,
    deployment,
    now,
    optional_instant,
)

if TYPE_CHECKING:
    from tagline.deployment import Deployment
    from tagline.identity.explain import KeptLink

app = typer.Typer(help="Which keys are one customer, and why.", no_args_is_help=True)
_COLUMNS = ("key", "customer", "since", "rule", "evidence", "linked to")


@app.command()
def explain(
    context: Context,
    key: Annotated[str, typer.Argument(help="A key with its system, or a customer.")],
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Say which customer a key is, by which rule and evidence, since when, and with which others.

    As of the live release, or of now while there is none.
    """
    from tagline.identity.explain import explain as explained

    with deployment(context) as opened:
        found = explained(opened, key, _moment(opened, as_of))
    if as_json:
        answer_json(found.as_json())
        return
    if found.customer_id is None:
        answer(f"{found.customer_key} is no customer any more.")
    else:
        answer(f"{found.customer_key} is customer {found.customer_id}.")
        _table("Why", found.chain)
    if len(found.history) > 1:
        _table("History", found.history)
    if len(found.keys) > 1:
        _table(f"Keys of {found.customer_id}", found.keys)


@app.command()
def review(
    context: Context,
    as_of: AsOf = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Rows to list.")] = 50,
    as_json: Json = False,
) -> None:
    """List contradictions, ambiguous keys, candidates and values of too many keys.

    As of the live release, or of now while there is none.
    """
    from tagline.identity.reading import Evidence
    from tagline.identity.review import to_review

    with deployment(context) as opened:
        evidence = Evidence(opened)
        found = to_review(evidence, evidence.spans(), _moment(opened, as_of))
    if as_json:
        answer_json({"count": len(found), "items": [asdict(item) for item in found[:limit]]})
    elif not found:
        answer("nothing to review")
    else:
        rows = [
            (item.kind, item.rule, item.evidence, "\n".join(item.keys), item.detail)
            for item in found[:limit]
        ]
        answer_table(("kind", "rule", "evidence", "keys", "detail"), rows)
        answer(f"{len(rows)} of {len(found)}")


def _moment(opened: Deployment, as_of: str | None) -> datetime:
    asked = optional_instant(opened.catalog, as_of)
    if asked is not None:
        return asked
    live = opened.registry.live()
    return live.as_of if live else now()


def _table(title: str, links: Sequence[KeptLink]) -> None:
    rows = [
        (link.customer_key, link.customer_id, link.since, link.rule, link.evidence, link.linked_key)
        for link in links
    ]
    answer_table(_COLUMNS, rows, title)
