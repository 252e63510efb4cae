"""### The models behind the predicted tags, once a week

Brings the lake up to as_of, as `customer_tags` does, and then trains each model of the business:
each learns by its kind, most from features and labels at several past instants, and is judged on
what it has not seen, against a plain rule and the present champion. The gate promotes it or
refuses it with the reasons; a refusal is an outcome, not a failure.

Each training task links to its MLflow run: plots, metrics with intervals, inputs. A promoted
model serves as_of instants from the end of its last label horizon on: its own as_of, or that of
the last trial.
"""

from __future__ import annotations

from airflow.sdk import DAG, chain

from tagline_airflow.calendar import business_calendar
from tagline_airflow.operators import DEFAULTS
from tagline_airflow.steps import AS_OF, clean, extract, resolve, step, train

calendar = business_calendar()

with DAG(
    "tag_models",
    description="Trains, judges and promotes the models behind the predicted tags, once a week.",
    doc_md=__doc__,
    tags=["tagline", calendar.business],
    default_args={**DEFAULTS, "owner": "crm"},
    params={"as_of": AS_OF},
    **calendar.weekly(),
):
    chain(
        extract(),
        clean(),
        *resolve(calendar),
        step("check", "tagline.quality:check"),
        train(),
    )
