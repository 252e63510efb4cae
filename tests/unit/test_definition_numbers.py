"""Numbers in definition files: one that nothing can be calculated with is a fault in its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.definition_copies import copied_definitions

from tagline.catalog import load_catalog
from tagline.errors import DefinitionError


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied_definitions(tmp_path_factory.mktemp("numbers") / "include")


@pytest.mark.parametrize(
    ("file", "key", "number"),
    [
        ("policies/customer_grade.yaml", "weight", ".inf"),
        ("policies/customer_grade.yaml", "weight", "9" * 400),
        ("policies/customer_grade.yaml", "worst", ".nan"),
        ("policies/customer_grade.yaml", "worst", "1.0e+999"),
        ("standards.yaml", "value", "-.inf"),
        ("standards.yaml", "value", "-" + "9" * 400),
        ("businesses/grocer.yaml", "value", ".inf"),
        ("models/lapse_risk.yaml", "min_gain_over_rule", ".inf"),
        ("tables/customers.yaml", "max_value", ".nan"),
    ],
)
def test_a_number_without_end_is_a_fault_where_it_stands(
    project: Path, file: str, key: str, number: str
) -> None:
    path = project / file
    original = path.read_text("utf-8")
    changed, count = re.subn(rf"\b{key}: -?[0-9.]+", f"{key}: {number}", original, count=1)
    assert count == 1, f"{file} has no number at {key}"
    pairs = zip(original.splitlines(), changed.splitlines(), strict=True)
    line = next(at for at, (old, new) in enumerate(pairs, start=1) if old != new)
    path.write_text(changed, "utf-8")
    try:
        with pytest.raises(DefinitionError) as refused:
            load_catalog(project, "grocer")
    finally:
        path.write_text(original, "utf-8")
    [fault] = [each for each in refused.value.faults if each.path == file]
    assert fault.line == line
    assert "is no number to calculate with; write one between" in fault.message
