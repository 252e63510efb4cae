"""What the demo shows of a day's tags: those of each dimension with their coverage, and grades."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from tagline.catalog import Catalog
from tagline.registry.schema import Run


@dataclass(frozen=True)
class DimensionCoverage:
    """The measured tags of a dimension; coverages are shares of the subject's rows with a value."""

    subject: str
    theme: str
    dimension: str
    tags: int
    coverage: float  # the mean over the tags
    least: float
    least_covered: str  # its tag


def coverages(catalog: Catalog, audit: Mapping[str, Any]) -> list[DimensionCoverage]:
    """By subject, theme and dimension, from the output of a run's audit."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for slug, profile in audit.get("tags", {}).items():
        tag = catalog.tags.get(slug)
        if tag is not None:
            place = (tag.subject.name, tag.theme, tag.dimension)
            found.setdefault(place, {})[slug] = profile["coverage"]
    made = []
    for place, shares in sorted(found.items()):
        least = min(shares, key=lambda slug: (shares[slug], slug))
        mean = sum(shares.values()) / len(shares)
        made.append(DimensionCoverage(*place, len(shares), mean, shares[least], least))
    return made


def coverage_table(catalog: Catalog, run: Run) -> Table:
    """A line per dimension, named in English as the catalogue names it."""
    table = Table(title=f"Tags by dimension as of {catalog.day(run.as_of)}", title_justify="left")
    for column in ("subject", "theme", "dimension"):
        table.add_column(column)
    for column in ("tags", "coverage"):
        table.add_column(column, justify="right")
    table.add_column("least covered")
    for row in coverages(catalog, run.stages.get("audit", {})):
        theme = catalog.themes[row.theme]
        table.add_row(
            row.subject,
            theme.name.en,
            theme.dimensions[row.dimension].en,
            str(row.tags),
            f"{row.coverage:.0%}",
            f"{row.least_covered} {row.least:.0%}",
        )
    return table


def grade_lines(catalog: Catalog, run: Run) -> Iterator[str]:
    """How many customers have each grade, a line per policy whose grade was measured."""
    profiles = run.stages.get("audit", {}).get("tags", {})
    for policy, definition in catalog.policies.items():
        profile = profiles.get(policy)
        if profile is None:
            continue
        shares = {str(value): share for value, share in profile["top"]}
        grades = (each.grade for each in definition.grades)
        shown = ", ".join(
            f"{grade} {shares.get(grade, 0) * profile['rows']:,.0f} ({shares.get(grade, 0):.0%})"
            for grade in grades
        )
        yield f"{policy} of {profile['rows']:,}: {shown}"
