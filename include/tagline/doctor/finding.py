"""What an examination finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is: a fault stops runs or readers, a warning may come to that."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: where, what it is, and the fix where it is not good."""

    level: Level
    where: str
    what: str
    fix: str = ""


def ok(where: str, what: str) -> Finding:
    """Something good."""
    return Finding(Level.OK, where, what)


def warning(where: str, what: str, fix: str) -> Finding:
    """Something that works, and may not for long."""
    return Finding(Level.WARNING, where, what, fix)


def fault(where: str, what: str, fix: str) -> Finding:
    """Something that stops runs or readers."""
    return Finding(Level.FAULT, where, what, fix)
