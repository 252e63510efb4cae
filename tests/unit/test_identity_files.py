"""Files of identity rules: what is wrong in one is told with its line and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.evidence import RULES
from tests.identity_business import define
from tests.till import write

from tagline.catalog import load_catalog
from tagline.errors import DefinitionError
from tagline.pipeline import STAGES, stages
from tagline.settings import PROJECT

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    define(tmp_path / "definitions", "bureau", tmp_path / "in")
    return tmp_path / "definitions"


def changed(path: Path, change: Change) -> None:
    document = yaml.safe_load(path.read_text("utf-8"))
    change(document)
    write(path, document)


def faults(root: Path) -> list[str]:
    with pytest.raises(DefinitionError) as error:
        load_catalog(root, "bureau")
    return [str(fault) for fault in error.value.faults]


def test_a_business_with_rules_has_the_table_identity_and_a_stage_that_makes_it(root: Path) -> None:
    catalog = load_catalog(root, "bureau")
    assert catalog.identity is not None and catalog.identity.lead == "account"
    assert "identity" in catalog.tables and catalog.feeds("identity") == ()
    assert stages(catalog) == ("extract", "clean", "resolve", *STAGES[2:])
    assert stages(load_catalog(PROJECT / "include", "grocer")) == STAGES


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (lambda f: f.update(lead="acount"), "lead: acount",
         "unknown kind 'acount': add it to kinds. Did you mean 'account'?"),
        (lambda f: f["rules"][2].update(kind="fone"), "kind: fone",
         "unknown kind 'fone': add it to kinds."),
        (lambda f: f["rules"][4].update(of="own"), "of: own",
         "unknown kind 'own': add it to kinds. Did you mean 'owns'?"),
        (lambda f: f["contradictions"][0].update(kind="taxes"), "kind: taxes", "unknown kind"),
        (lambda f: f["kinds"].update(colour={"description": "Made up."}), "colour:",
         "kind 'colour' is used by no rule: remove it, or add a rule"),
        (lambda f: f["rules"][0].update(most_key=3), "most_key: 3",
         "unknown key 'most_key'. Did you mean 'most_keys'?"),
        (lambda f: f["rules"][0].update(by="sharing"), "by: sharing",
         "unknown by 'sharing'. Did you mean 'shared'?"),
    ],
)  # fmt: skip
def test_a_slip_in_a_file_of_rules_is_told_with_its_line(
    root: Path, change: Change, line: str, said: str
) -> None:
    path = root / "identity/bureau.yaml"
    changed(path, change)
    lines = path.read_text("utf-8").splitlines()
    [number] = [n for n, text in enumerate(lines, 1) if line in text]
    assert any(
        fault.startswith(f"identity/bureau.yaml:{number}:") and said in fault
        for fault in faults(root)
    )


def test_rules_evidence_and_business_must_fit(root: Path) -> None:
    write(root / "identity/buro.yaml", RULES)
    assert next(each for each in faults(root) if "identity/buro.yaml:1" in each).endswith(
        "no business 'buro': the file is named as its business. Did you mean 'bureau'?"
    )
    (root / "identity/buro.yaml").unlink()
    business = root / "businesses/bureau.yaml"
    changed(business, lambda f: f.update(identity="one_to_one"))
    assert "not used: businesses/bureau.yaml says identity: one_to_one" in faults(root)[0]
    changed(business, lambda f: f.update(identity="resolved"))
    (root / "identity/bureau.yaml").rename(root / "kept.yaml")
    assert "resolved by no rules: add the file identity/bureau.yaml" in faults(root)[0]
    (root / "kept.yaml").rename(root / "identity/bureau.yaml")
    source = root / "sources/office.yaml"
    changed(source, lambda f: f["feeds"].update(identity="snapshot"))
    sql = root / "sql/sources/office"
    (sql / "identity.sql").write_text(
        "SELECT number AS customer_key, number AS customer_id FROM accounts", "utf-8"
    )
    assert "source office feeds identity, which is resolved here" in faults(root)[0]
    (sql / "identity.sql").unlink()
    (sql / "identity_evidence.sql").unlink()
    changed(source, lambda f: [f["feeds"].pop(name) for name in ("identity", "identity_evidence")])
    told = faults(root)
    assert any("no source of bureau feeds identity_evidence" in each for each in told)
