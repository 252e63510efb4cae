"""labels: what people judge of customers, from the question to what their answers are worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagline.commands.console import (
    AsOf,
    Context,
    Json,
    answer,
    answer_fields,
    answer_json,
    answer_table,
    asked,
    deployment,
    instant,
    now,
)
from tagline.errors import WrongUsage

if TYPE_CHECKING:
    from datetime import datetime

    from tagline.deployment import Deployment

app = typer.Typer(invoke_without_command=True)
SetName = Annotated[str, typer.Argument(metavar="SET", help="A label set: labels/<SET>.yaml.")]
Sheet = Annotated[Path, typer.Option("--csv", metavar="FILE", help="The sheet to write.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who judges, where rows do not say.")
]


@app.callback()
def labels(context: Context, as_json: Json = False) -> None:
    """List the label sets with their judgements and agreement, or act on one.

    A round: `queue` writes a sheet of questions, at least two people fill in its column value,
    `import` takes each sheet in, `agreement` tells whether they agree, and `adjudicate` writes a
    sheet of the customers on whom they do not.
    """
    if context.invoked_subcommand is not None:
        return
    with deployment(context) as opened:
        listed = [_state(opened, name, now()) for name in sorted(opened.catalog.label_sets)]
    if as_json:
        answer_json({"label_sets": listed})
    elif not listed:
        answer("no label set is defined; write one as labels/<label_set>.yaml")
    else:
        keys = ("label_set", "customers", "labels", "disagreed", "kappa", "min_kappa")
        answer_table(keys, [[each[key] for key in keys] for each in listed])


@app.command()
def queue(
    context: Context,
    name: SetName,
    path: Sheet,
    count: Annotated[int, typer.Option("--count", min=1, help="Questions to ask.")] = 100,
    as_of: AsOf = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Write a sheet of the customers whose label would teach most, as they were as of a day.

    The day is that of the live release by default. With --by, the sheet is for one annotator, and
    begins with the customers whom too few others have judged.
    """
    from tagline.labels.questions import queue as ask
    from tagline.labels.sheets import require_new

    require_new(path)
    with deployment(context) as opened:
        about_at = instant(opened.catalog, as_of) if as_of else _live(opened)
        found = ask(opened, name, count, about_at, now(), by)
        found.write(path)
        question = opened.catalog.label_set(name).question
        day = asked(opened.catalog, about_at)
    document = {
        "label_set": name,
        "question": question.model_dump(),
        "as_of": day,
        "questions": len(found.questions),
        "chosen_by": found.chosen_by or "chance",
        "sheet": str(path),
    }
    if as_json:
        answer_json(document)
    else:
        answer(
            f"{len(found.questions)} questions are in {path}, chosen by "
            f"{document['chosen_by']}: {question.en} {question.zh}"
        )


@app.command("import")
def import_(
    context: Context,
    name: SetName,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A sheet that was filled in.")],
    by: By = None,
    as_json: Json = False,
) -> None:
    """Take in the answers of a sheet; rows without a value are left out.

    The value `withdraw` takes that person's earlier answer back. Nothing is kept of a sheet with
    a fault. The same sheet again, or with more answers, adds only what is new: to return to an
    earlier answer, fill in judged_at.
    """
    from tagline.labels.delivery import import_judgements

    with deployment(context) as opened:
        report = import_judgements(opened, name, path, now(), by).as_json()
    if as_json:
        answer_json(report)
    else:
        answer_fields(report)
        if report["overtaken"]:
            answer(
                f"{report['overtaken']} answers were handed in before and have since been answered "
                "otherwise, which stands; to return to one, fill in its judged_at"
            )


@app.command()
def agreement(context: Context, name: SetName, as_of: AsOf = None, as_json: Json = False) -> None:
    """Show how far the annotators agree beyond chance, and what the answers come to.

    Exits 1 where they agree too little for a model to learn from them.
    """
    from tagline.labels.judged import JudgementsRefused

    with deployment(context) as opened:
        at = instant(opened.catalog, as_of) if as_of else now()
        found = _state(opened, name, at)
    if as_json:
        answer_json(found)
    else:
        answer_fields(found)
    if found["refused"]:
        raise JudgementsRefused("; ".join(found["refused"]))


@app.command()
def adjudicate(
    context: Context, name: SetName, path: Sheet, by: By = None, as_json: Json = False
) -> None:
    """Write a sheet of the customers on whom annotators disagree, with what each has said.

    An adjudicator of the label set fills it in, and `import` takes it in.
    """
    from tagline.labels.adjudication import disagreements, write_disagreements
    from tagline.labels.sheets import require_new

    require_new(path)
    with deployment(context) as opened:
        found = disagreements(opened, name, now(), by)
        write_disagreements(name, found, path, by)
    if as_json:
        answer_json({"label_set": name, "disagreements": len(found), "sheet": str(path)})
    else:
        answer(f"{len(found)} disagreements are in {path}")


def _live(opened: Deployment) -> datetime:
    live = opened.registry.live()
    if live is None:
        raise WrongUsage("nothing is released yet: give --as-of DAY")
    return live.as_of


def _state(opened: Deployment, name: str, at: datetime) -> dict[str, Any]:
    """What is known of a label set as of an instant."""
    from tagline.labels.judged import agreement_of, decisions, too_little_agreement

    definition = opened.catalog.label_set(name)
    decided = decisions(opened, name, at) if "labels" in opened.catalog.tables else []
    found = agreement_of(definition, decided)
    counts = dict.fromkeys(definition.values, 0)
    for one in decided:
        if one.value is not None:
            counts[one.value] += 1
    states = [one.state for one in decided]
    return {
        "label_set": name,
        "customers": len({one.customer_id for one in decided}),
        "labels": sum(counts.values()),
        "values": counts,
        "disagreed": states.count("disagreed"),
        "too_few_answers": states.count("too few"),
        "annotators": list(found.annotators),
        "judged_twice": found.customers,
        "alike": found.observed,
        "measure": {"cohen": "Cohen's kappa", "fleiss": "Fleiss' kappa"}[found.measure],
        "kappa": found.kappa.value if found.kappa else None,
        "kappa_low": found.kappa.low if found.kappa else None,
        "kappa_high": found.kappa.high if found.kappa else None,
        "min_kappa": definition.min_kappa,
        "refused": list(too_little_agreement(name, definition, found)),
    }
