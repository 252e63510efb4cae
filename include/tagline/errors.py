"""Every error that Tagline raises on purpose; each says where, what and the fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class TaglineError(Exception):
    """A refusal or failure with a reason for a person; `exit_code` is the command line's answer."""

    exit_code = 1
    is_transient = False  # whether the same call may succeed later, with nothing changed


class WrongUsage(TaglineError):
    """The caller asked for something that has no meaning (exit code 2)."""

    exit_code = 2


class CandidateHeld(TaglineError):
    """The gate held a candidate; nothing was released (exit code 3)."""

    exit_code = 3


class NoData(TaglineError):
    """The as_of lies beyond what a required table covers; nothing was released (exit code 4)."""

    exit_code = 4


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in one definition file; `line` counts from 1."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


class DefinitionError(TaglineError):
    """One or more faults in definition files; `faults` holds all of them, in file order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class ExpressionError(TaglineError):
    """An expression that is not a pure, typed expression of allowed names and functions."""


class QueryRefused(TaglineError):
    """SQL that the engine cannot run as it is written; `reason` holds the engine's words."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the engine refused a query: {reason}")


class SourceChanged(TaglineError):
    """A source table's columns differ from its declaration; the message lists the difference."""


class SourceUnavailable(TaglineError):
    """A source could not be read; the run may be retried."""

    is_transient = True


class DatabaseUnavailable(TaglineError):
    """The PostgreSQL server cannot be reached or started, or was lost; the run may be retried."""

    is_transient = True


class DiskFull(TaglineError):
    """There is no space left for the state; the run may be retried once there is."""

    is_transient = True


class LakeUnavailable(TaglineError):
    """The object store of the lake does not answer; the run may be retried."""

    is_transient = True


class EngineUnavailable(TaglineError):
    """The cluster that computes the tags does not answer; the run may be retried."""

    is_transient = True


class QuarantineLimitExceeded(TaglineError):
    """Too large a share of rows was refused for one reason; nothing of the interval was kept."""


class ExpectationFailed(TaglineError):
    """A critical expectation of a table does not hold; the message names each one."""


class UnknownName(TaglineError):
    """A name asked for by a user does not exist; the message suggests the closest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}.{did_you_mean(name, known)}")


class UnknownCustomer(TaglineError):
    """A customer that the release does not have."""


class ReleaseRefused(TaglineError):
    """A release or rollback that the registry's state does not allow."""


class ModelRefused(TaglineError):
    """A model that cannot be trained or served, with the reason."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence naming the closest of `known`, or all of them where none is close.

    >>> did_you_mean("due_dat", ["due_on", "due_date"])
    " Did you mean 'due_date'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f" Did you mean {close[0]!r}?"
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f" Known: {shown}."
