"""The core serves any business: none of its code names one, or asks which one it serves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tagline.settings import PROJECT

CODE = [
    path
    for folder in ("include/tagline", "plugins", "dags")
    for path in sorted((PROJECT / folder).rglob("*.py"))
]
NAMED = {
    path.stem
    for folder in ("businesses", "sources")
    for path in (PROJECT / "include" / folder).glob("*.yaml")
} - {"annotators"}  # the source of labels by people, which the core itself feeds
DEFAULT = ("settings.py", "grocer")  # of TAGLINE_BUSINESS


def test_no_code_holds_the_name_of_a_business_or_of_its_sources() -> None:
    found = {
        (path.name, text)
        for path in CODE
        for text in _texts(path)
        if any(name in text.split() or text == name for name in NAMED)
    }
    assert found == {DEFAULT}


def test_no_code_compares_the_business_that_it_serves_with_anything() -> None:
    found = [
        f"{path.relative_to(PROJECT)}:{node.lineno}"
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare | ast.Match) and _is_about_the_business(node)
    ]
    assert found == []


def _texts(path: Path) -> Iterator[str]:
    """The texts of a module, but for what documents it."""
    tree = ast.parse(path.read_text("utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def _is_about_the_business(node: ast.Compare | ast.Match) -> bool:
    """Whether the deployment's own business stands on a side of a comparison with a text."""
    if isinstance(node, ast.Match):
        return _last_name(node.subject) == "business"
    sides = [node.left, *node.comparators]
    named = [
        side
        for side in sides
        if isinstance(side, ast.Tuple | ast.Set)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
    ]
    return bool(named) and any(_last_name(side) == "business" for side in sides)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
