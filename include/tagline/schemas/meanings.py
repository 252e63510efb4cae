"""What each key of a definition file means, in one sentence, for editors and the reference."""

from __future__ import annotations

from collections.abc import Mapping

from tagline.schemas.model_meanings import OF_EVERY_MODEL, OF_MODEL_SHAPE

_EXPRESSION = "a DuckDB SQL expression of the allowed functions"

_EVERYWHERE: Mapping[str, str] = {
    "name": "The name that people see, in English and Chinese.",
    "description": "What it is, in a sentence for people.",
    "owner": "The team that answers for it.",
    "unit": "The unit of its values, for people; `currency` is the business's currency.",
}

_TAG: Mapping[str, str] = {
    "kind": "How the tag is made.",
    "description": "What the tag says of a customer; shown as the reason where there is no better.",
    "type": "The type of its values. Another type is another tag: give it a new name.",
    "values": "The texts that a text tag may have; rules are checked against them.",
    "valid_for": "How long a value holds after its as_of; an older one is shown as expired.",
    "polarity": "Whether the tag speaks for or against a customer, or calls for care.",
    "sensitivity": "Who may see it: everyone, everyone inside, or those with a need.",
    "critical": "Whether nothing may be released without this tag.",
    "quality": "Limits on a candidate's values; outside of them the tag is withheld.",
    "stability": "Limits on the change against an earlier release; beyond them the gate warns.",
    "examples": "The tag's own test, run by `tagline check --examples`.",
    "table": "The canonical or derived table that it is made from.",
    "where": f"Which rows count: a condition, {_EXPRESSION}.",
    "window": "How far back from as_of events count, on the business's wall clock; else all.",
    "via": "A reference and its column that names the customer who held it as of the event, "
    "such as `machine.owner`.",
    "empty": "The value of a customer without matching rows; without it there is none (null).",
    "by": "What the rows of a customer are grouped by, with `pick`; a text.",
    "pick": "Which group leads: `top(aggregate)`, or `top(aggregate, 3)` for a list.",
    "of": "The tag whose values are ranked: a number or a date.",
    "into": "The number of groups; the best has this number.",
    "best": "Whether the low or the high values are the best.",
    "within": "A tag: customers are ranked among those with the same value of it.",
    "cases": "The cases of a rule; the first whose `when` is true holds.",
    "otherwise": "What holds where no case does.",
    "model": "The model, by the name of its file in models/.",
    "output": "Which output of the model, such as probability or class; each kind has its own.",
    "label_set": "The label set that people answer, by the name of its file in labels/.",
    "agreement": "The share of the annotators that must agree on a value.",
    "inputs": "What gives points; the score is their mean by weight.",
}

_PHRASE = "The words of a reason, in both languages; names of tags in braces are filled in."
_INPUT: Mapping[str, str] = {
    "tag": "A boolean, integer or number tag of the same subject.",
    "weight": "How much it counts beside the other inputs.",
    "between": "Points that grow evenly from none at `worst` to 100 at `best`.",
    "steps": "Points by steps, in rising order of `from`; before the first there are none, or 100 "
    "where less is better.",
    "missing": "The points where the tag has no value, or `leave_out`: then it does not count.",
    "best": "Whether the low or the high values are the best, where the polarity does not say it.",
    "because": _PHRASE,
}

_OF_SHAPE: Mapping[str, Mapping[str, str]] = {
    "ExtractionTag": {"value": f"The value of a customer's row: {_EXPRESSION}."},
    "StatisticTag": {"value": f"An aggregate over a customer's rows: {_EXPRESSION}."},
    "Case": {
        "when": "A condition over tags and standard values; null (unknown) is not true.",
        "value": "The value of the tag where this case holds.",
        "because": "The reason in words; names of tags in braces are filled in with their values.",
    },
    "Otherwise": {
        "value": "The value of the tag where no case holds.",
        "because": "The reason in words; names of tags in braces are filled in with their values.",
    },
    "Quality": {
        "coverage": "The least and the greatest share of customers with a value.",
        "between": "The least and the greatest value; null: no limit.",
        "distinct": "The least and the greatest number of distinct values.",
    },
    "Stability": {
        "max_psi": "The greatest population stability index.",
        "max_changed": "The greatest share of customers whose value changed.",
    },
    "Example": {
        "as_of": "The day at whose midnight the example is worked out.",
        "rows": "The rows of one customer in the tag's table, for an extraction or a statistic; "
        "columns of a referenced table by a dotted name.",
        "tags": "The values of the tags that a rule, score or rank reads, also `previous(tag)`; "
        "those of a rank are lists, a value for each customer.",
        "value": "The value that must come out; a rank's ranks in the order of the customers.",
        "because": "The reason that must come out, for a rule or a score.",
    },
    "Names": {"en": "In English.", "zh": "In Chinese."},
    "Input": _INPUT,
    "ScoreInput": _INPUT,
    "Between": {
        "worst": "Where there are no points, and beyond it.",
        "best": "Where there are 100, and beyond it.",
    },
    "Step": {
        "from": "The value from which the step holds.",
        "points": "The points from there on, from 0 to 100.",
    },
    "Special": {
        "tag": "A tag whose polarity is special: a boolean, or a number with `from` or `below`.",
        "from": "It calls for care from this value on.",
        "below": "It calls for care below this value.",
        "because": _PHRASE,
    },
    "Limit": {
        "tag": "A tag that speaks against, or a number that speaks for.",
        "from": "It holds from this value on, of a tag that speaks against.",
        "below": "It holds below this value, of a tag that speaks for.",
        "at_best": "The best grade that may be given while it holds.",
        "because": _PHRASE,
    },
    "Grade": {
        "grade": "The value of the grade.",
        "from": "The points from which it is given, but for the last.",
    },
    "Hysteresis": {
        "stay": "How long a grade stays after it changed, in whole days.",
        "margin": "How far beyond a border the points must be for a change.",
        "limits": "Whether a limit strikes within the stay too, or waits for its end.",
    },
    "PolicyDefinition": {
        "theme": "The theme under which its tags stand; its subject is what is graded.",
        "dimension": "The dimension under which its tags stand.",
        "grades": "The grades, the best first.",
        "positive": "The tags that speak for it, each with a polarity of positive.",
        "negative": "The tags that speak against it, each with a polarity of negative.",
        "special": "The tags that call for care and do not move the grade.",
        "limits": "Hard limits: at best this grade while one holds.",
        "hysteresis": "What keeps a grade on a border.",
        "valid_for": "How long a grade holds after its as_of; an older one is shown as expired.",
        "sensitivity": "Who may see it: everyone, everyone inside, or those with a need.",
        "critical": "Whether nothing may be released without the grade.",
        "stability": "Limits on the change of the grade; beyond them the gate warns.",
    },
    "ThemeDefinition": {
        "subject": "What its tags are about.",
        "dimensions": "The folders of the theme with their names; each holds tags.",
    },
    "TableDefinition": {
        "key": "The columns that tell one row from another.",
        "customer": "The column that holds the source's key of the customer.",
        "event_at": "The column that says when an event happened; only a table of events has it.",
        "immutable": "Whether a key never gets a second version, which spares readers a join.",
        "required": "Whether a day without its data is not released.",
        "columns": "The columns, by name.",
        "expectations": "Rules that its rows are checked against.",
    },
    "Column": {
        "type": "The type of its values.",
        "nullable": "Whether a value may be missing.",
        "references": "The table whose key it holds; the column's name then ends in `_id`.",
        "pii": "Whether it tells who a person is: not, together with others, or by itself.",
    },
    "Expectation": {
        "expect": "The expectation of Great Expectations, by name.",
        "column": "The column that it is about, where it is about one.",
        "with": "The expectation's arguments.",
        "severity": "What happens where it does not hold: rows go to quarantine, it is reported, "
        "or the run stops.",
        "reason": "The reason under which rows go to quarantine; needed for the severity row.",
        "limit": "The share of an interval's rows in quarantine above which the run stops.",
    },
    "FileSource": {
        "type": "Files.",
        "location": "The folder, `package://name/folder`, `home://folder` of the deployment's "
        "state, or URL; ${VARIABLE} is filled in.",
    },
    "SqlSource": {
        "type": "A database.",
        "url": "An SQLAlchemy URL or `airflow://connection_id`; ${VARIABLE} is filled in.",
    },
    "FileTable": {
        "path": "The files under the location; may hold `*` or `{date}`.",
        "format": "The format, where the ending of the files does not tell it.",
        "aliases": "Other names that files give a column.",
        "accepts": "Other types that files store a column as; each value is then cast.",
        "file_column": "A declared text column that no file has: it holds the name of the file.",
        "optional": "Whether there may be no file yet, which then means no rows.",
        "nulls": "Texts that say nothing, such as `?` or `NA`; blank ones never do.",
        "formats": "How files write a date or timestamp as text, such as `%d/%m/%Y %H:%M`.",
    },
    "SqlTable": {"table": "The table in the database, with or without its schema."},
    "LabelSet": {
        "question": "What annotators are asked of each customer.",
        "values": "The answers by name, each with what people see of it.",
        "speaks_of": "The instant that a judgement speaks of: the one for which the customer was "
        "asked about, or the start of the day on which it was judged.",
        "min_annotators": "How many annotators must judge a customer before the label counts.",
        "min_kappa": "The least agreement beyond chance, as kappa; no model learns from less.",
        "min_customers": "How many customers two annotators must have judged to measure agreement.",
        "adjudicators": "Who decides where annotators disagree, by name as in judged_by.",
    },
    "LabelValue": {
        "name": "What annotators see, in English and Chinese.",
        "guideline": "When to give this answer, in English and Chinese.",
    },
    "Vocabulary": {
        "terms": "What texts speak of, by name; these names are what term() and terms() give.",
        "examples": "The vocabulary's own test, run by `tagline check --examples`.",
    },
    "Term": {
        "words": "How texts write it: whole words in any case, Chinese anywhere; `leak*` stands "
        "for all words that begin so.",
    },
    "VocabularyExample": {
        "text": "A text.",
        "terms": "All terms that must be found in it, in any order.",
    },
    "BusinessDefinition": {
        "timezone": "The IANA time zone in which its days are cut.",
        "currency": "Its currency, by the three letters of ISO 4217.",
        "identity": "Whether a source's customer key is the customer, is mapped to one by a source "
        "or resolved by the rules of identity/<business>.yaml.",
        "sources": "Its sources, by the names of their files.",
        "tags": "Its tags, by slug or theme, with all that those read; else all that it can have.",
        "models": "The models that it uses.",
        "policies": "The policies by which it grades.",
        "standards": "Its own values of standards.",
        "expectations": "What it expects of its tables' rows, beside what every business does.",
        "quality": "Limits on its values of a tag, in place of the tag's own.",
        "starts_on": "The first day that its sources are asked for.",
        "ends_on": "The end of a closed data set: no day after it is scheduled.",
        "demo": "What `make demo` runs.",
    },
    "IdentityRules": {
        "description": "Which keys lead, and which are attached to them.",
        "kinds": "The kinds of evidence that the rules read; others are counted and ignored.",
        "lead": "The kind whose value is a customer's number: keys that hold one lead, and the "
        "earliest of those who are one customer gives it the number.",
        "rules": "The rules, the stronger ones first.",
        "contradictions": "What two customers differ in: no rule joins them then.",
    },
    "EvidenceKind": {"description": "What a key is known by."},
    "SharedValue": {
        "name": "The rule's name, which each link names.",
        "by": "shared: keys that hold the same value at the same time belong together.",
        "kind": "The kind of evidence whose values are compared.",
        "most_keys": "A value that more keys have held proves nothing, from the one too many on.",
        "strength": "A strong rule joins keys that lead, too; a weak one only attaches others.",
    },
    "Mention": {
        "name": "The rule's name, which each link names.",
        "by": "mention: who names a value belongs to who holds it then, also later.",
        "kind": "The kind of evidence that names values.",
        "of": "The kind of evidence that holds them.",
        "at_least": "How many mentions must lead to the same key.",
        "most_keys": "A value that more keys have held proves nothing, from the one too many on.",
        "strength": "A strong rule joins keys that lead, too; a weak one only attaches others.",
    },
    "Statement": {
        "name": "The rule's name, which each link names.",
        "by": "statement: the value is another key; taken back, it keeps both apart.",
        "kind": "The kind of evidence that names another key.",
        "strength": "Always strong: it joins keys that lead.",
    },
    "Contradiction": {
        "kind": "The kind of evidence of which a customer has one value.",
        "slips": "Values of one length that differ in so many characters may be one, mistyped.",
    },
    "Demo": {
        "first_as_of": "The as_of of the first day.",
        "days": "The number of daily runs.",
        "prepare": "What fills a database for its sources first.",
    },
    "Preparation": {
        "module": "The module that is run with `--database URL`.",
        "url": "The environment variable by which the sources read the URL.",
    },
    "Standards": {"standards": "The standard values, by name."},
    "Standard": {
        "type": "The type of its values.",
        "values": "Its values, each from a day on.",
    },
    "DatedValue": {
        "from": "The business day from which the value holds.",
        "value": "The value.",
    },
}

_OF_SOURCES: Mapping[str, str] = {
    "timezone": "The IANA time zone of its timestamps that have none.",
    "timeout": "A read ends when nothing has come for this long.",
    "feeds": "The canonical tables that it fills by sql/sources/<source>/<table>.sql: by the rows "
    "of loaded intervals, or as a whole.",
    "tables": "Its tables, by the names that the SQL of its feeds uses.",
    "columns": "The columns that are read, with their types.",
    "time": "The column by whose intervals it is extracted; without it, always as a whole.",
    "late_by": "How long before the last day rows may still come, change or go.",
    "idle": "A day is covered when rows reach within this of its end.",
    "lookback": "How long before an interval the rows lie that its SQL sees, too.",
    "append_only": "Whether a new snapshot only adds rows: then no interval is cleaned again.",
}


def meaning_of(shape: str, key: str) -> str | None:
    """The sentence for a key of a shape, by the name of its class."""
    of_shape = _OF_SHAPE.get(shape) or OF_MODEL_SHAPE.get(shape, {})
    if key in of_shape:
        return of_shape[key]
    if shape.endswith("Tag") and key in _TAG:
        return _TAG[key]
    if shape.endswith("Model") and key in OF_EVERY_MODEL:
        return OF_EVERY_MODEL[key]
    if shape in ("FileSource", "SqlSource", "FileTable", "SqlTable") and key in _OF_SOURCES:
        return _OF_SOURCES[key]
    return _EVERYWHERE.get(key)
