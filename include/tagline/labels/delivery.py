"""Takes in people's answers: a file kept as a delivery of a source, and loaded into the lake."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagline.compile import compile_query
from tagline.compute import relations
from tagline.definitions import FileSource
from tagline.definitions.types import DataType
from tagline.labels.handed_in import Sheet
from tagline.labels.judged import JudgementsRefused, require_labels
from tagline.labels.kept import COLUMNS, Answer, kept_answers
from tagline.sources.files import HOME, home_folder
from tagline.sqlfiles import parse_sql
from tagline.storage import appearing_whole

if TYPE_CHECKING:
    from tagline.catalog import Catalog
    from tagline.deployment import Deployment

RUN = "labels"


@dataclass(frozen=True)
class Imported:
    """What was taken in of a file; `delivery` is the new file, None where nothing is new.

    `overtaken` of the judgements were handed in before, and their annotators have since answered
    otherwise: the later answers stand.
    """

    label_set: str
    judgements: int
    new: int  # the others were handed in before
    overtaken: int
    unanswered: int
    delivery: str | None

    def as_json(self) -> dict[str, Any]:
        """The report as one JSON document."""
        return asdict(self)


def import_judgements(
    deployment: Deployment, label_set: str, path: Path, at: datetime, judged_by: str | None = None
) -> Imported:
    """Take in the answers of a CSV file: `customer_key`, `value`, and what the queue wrote there.

    Rows without a value are not answered and left out; the value `withdraw` takes that person's
    earlier answer back. `judged_by` is who judged where a row does not say; `at` is now, and when
    it was judged where a row does not say, unless the data of the business has ended. Nothing is
    kept of a file with a fault. A row without `judged_at` whose answer that person has given
    before changes nothing.
    """
    catalog = deployment.catalog
    catalog.label_set(label_set)
    name, source = receiving_source(catalog)
    customers = _customers(deployment, at)
    folder = home_folder(source.location, deployment.settings.home_path, name)
    with deployment.registry.lock(f"labels:{name}"):
        kept = kept_answers(folder, label_set)
        given_at = _given_at(catalog, kept, at)
        found = Sheet(catalog, label_set, customers, kept, at, given_at, judged_by).read(path)
        delivery = _keep(folder, label_set, found.new) if found.new else None
    _load(deployment, name, at)  # takes locks of its own, one at a time
    return Imported(
        label_set, found.rows, len(found.new), found.overtaken, found.unanswered, delivery
    )


def receiving_source(catalog: Catalog) -> tuple[str, FileSource]:
    """The source of files in the deployment's state that feeds the judgements, by name."""
    require_labels(catalog)
    for name in catalog.feeds("labels"):
        source = catalog.sources[name]
        if isinstance(source, FileSource) and source.location.startswith(HOME):
            return name, source
    raise JudgementsRefused(
        f"{catalog.business} has no source that answers can be handed in to: add annotators, a "
        f"source of files in {HOME}, to sources in businesses/{catalog.business}.yaml; or deliver "
        f"them by {', '.join(catalog.feeds('labels'))}, which feeds the table labels"
    )


def customer_keys(deployment: Deployment, as_of: datetime) -> dict[str, str]:
    """A key in the sources of each customer that is known before an instant, by customer_id.

    The first of several keys.
    """
    by_key = _customers(deployment, as_of)
    return {by_key[key]: key for key in sorted(by_key, reverse=True)}


def _customers(deployment: Deployment, as_of: datetime) -> dict[str, str]:
    """The customer_id of every key in the sources that is known before an instant."""
    catalog = deployment.catalog
    mapped = catalog.definition.identity != "one_to_one"
    text = "SELECT customer_id, customer_key AS key FROM identity"
    if not mapped:
        text = "SELECT customer_id, customer_id AS key FROM customers"
    file = parse_sql("customer keys", text)
    returned = {"customer_id": DataType.TEXT, "key": DataType.TEXT}
    compiled = compile_query(catalog, file, returned, as_of)
    found = deployment.tag_engine.fetch(compiled.sql, relations(deployment, compiled, as_of))
    pairs = zip(found["customer_id"].to_pylist(), found["key"].to_pylist(), strict=True)
    return {str(key): str(customer) for customer, key in pairs if customer is not None}


def _given_at(catalog: Catalog, kept: Sequence[Answer], at: datetime) -> datetime:
    """When an answer counts as judged that does not say: now, or where the data has ended, then.

    The present of a business whose data has ended is the end of its last day, for its models and
    its last release. So answers lie within that day, each file's a second after those before.
    """
    ends_on = catalog.definition.ends_on
    if ends_on is None or at < (end := catalog.midnight(ends_on + timedelta(days=1))):
        return at
    last_day = catalog.midnight(ends_on)
    earlier = [one.judged_at for one in kept if last_day <= one.judged_at < end]
    following = max(earlier) + timedelta(seconds=1) if earlier else last_day
    return min(following, end - timedelta(microseconds=1))


def _keep(folder: Path, label_set: str, rows: Sequence[Mapping[str, str]]) -> str:
    """Write the rows as one more file of the source."""
    number = hashlib.sha256("".join(row["label_id"] for row in rows).encode()).hexdigest()[:16]
    target = folder / f"{label_set}-{number}.csv"
    with (
        appearing_whole(str(target), str(folder)) as unfinished,
        Path(unfinished).open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return str(target)


def _load(deployment: Deployment, source: str, at: datetime) -> None:
    """Bring the lake's table labels up to date with all files of the source."""
    from tagline.clean import clean_table, tables_read
    from tagline.extract import extract_again

    for table in tables_read(deployment.catalog, source, "labels"):
        extract_again(deployment, f"{source}.{table}", (), RUN, at)
    clean_table(deployment, "labels", RUN, at)
