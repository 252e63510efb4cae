"""### From the sources to released customer tags, once a day

Each run has an **as_of**, the end of its data interval, and works out every tag as of that
instant:

| step | what it does |
|---|---|
| extract | copies from each source what the lake lacks up to as_of |
| clean | makes canonical tables of it; rows that break a rule go to quarantine with the reason |
| resolve | works out which keys of several systems are one customer, where rules say so |
| check | validates the cleaned rows with Great Expectations |
| compute | works out all tags into a candidate that nobody else sees, by bucket of customers |
| score | adds the tags that models predict |
| audit | measures each tag and compares it with the release before |
| gate | passes, warns or withholds each tag, or holds the whole candidate |
| release | makes the candidate the day's release, in one transaction |

A step that is done twice gives the same result, so any task may be cleared and any day run
again. A **backfill** recomputes past days through every step and leaves the live release alone,
unless one of its days is newer. Where a tag reads `previous(...)`, days run one after the other.
A day without data ends skipped (`no_data`); a held candidate shows a skipped release and waits
in the registry: `tagline release ID --reason TEXT`.

**Add a task** by one line between two of the steps below: any operator, or
`step("name", "module:function")` for a function `(deployment, run_id, as_of, at)` that returns
a report.
"""

from __future__ import annotations

from airflow.sdk import DAG, chain

from tagline_airflow.calendar import business_calendar
from tagline_airflow.operators import DEFAULTS
from tagline_airflow.steps import (
    AS_OF,
    clean,
    compute,
    extract,
    one_after_the_other,
    release,
    resolve,
    step,
)

calendar = business_calendar()

with DAG(
    "customer_tags",
    description="From the sources to released customer tags, once a day.",
    doc_md=__doc__,
    tags=["tagline", calendar.business],
    default_args={**DEFAULTS, "owner": "crm"},
    params={"as_of": AS_OF},
    **calendar.daily(),
) as dag:
    chain(
        extract(),
        clean(),
        *resolve(calendar),
        step("check", "tagline.quality:check"),
        compute(),
        step("score", "tagline.training.score:score"),
        step("audit", "tagline.audit:audit"),
        step("gate", "tagline.gate:gate"),
        release(),
    )
    if calendar.in_order:
        one_after_the_other(dag)
