"""Are Python and the packages those that the lock names?"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tagline.doctor.finding import Finding, fault, ok, warning

_SHOWN = 5  # packages named in one finding
Installed = Callable[[str], str | None]


def installed(name: str) -> str | None:
    """The version of a package, None where it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_python(wanted: str, found: str = "") -> Finding:
    """Whether this Python is one that Tagline is tested with."""
    found = found or platform.python_version()
    if SpecifierSet(wanted).contains(Version(found), prereleases=True):
        return ok("python", f"Python {found}")
    return fault("python", f"Python {found}, but Tagline needs {wanted}", "make .venv PYTHON=…")


def check_direct(requirements: list[str], version_of: Installed = installed) -> Iterator[Finding]:
    """A fault for each package that Tagline names itself and that is missing or does not fit."""
    for wanted in _that_apply(requirements):
        found = version_of(wanted.name)
        if found is None:
            yield fault("packages", f"{wanted} is missing", "pip install -r requirements.txt")
        elif not wanted.specifier.contains(Version(found), prereleases=True):
            yield fault(
                "packages",
                f"{wanted.name} is {found}, but Tagline needs {wanted.specifier}",
                "pip install -r requirements.txt",
            )


def check_lock(lock: Path, version_of: Installed = installed) -> Finding:
    """Whether what is installed has the versions of the lock; the lock may name more."""
    if not lock.is_file():
        return ok("packages", "no requirements.txt beside the package to compare with")
    lines = (line.partition("#")[0].strip() for line in lock.read_text("utf-8").splitlines())
    differ, same = [], 0
    for wanted in _that_apply([line for line in lines if line and not line.startswith("-")]):
        found = version_of(wanted.name)
        if found is None:
            continue
        if wanted.specifier.contains(Version(found), prereleases=True):
            same += 1
        else:
            differ.append(f"{wanted.name} {found} (locked {wanted.specifier})")
    if not differ:
        return ok("packages", f"{same} packages as locked")
    more = f" and {len(differ) - _SHOWN} more" if len(differ) > _SHOWN else ""
    return warning(
        "packages",
        f"not as locked: {', '.join(differ[:_SHOWN])}{more}",
        "pip install -r requirements.txt",
    )


def _that_apply(requirements: list[str]) -> Iterator[Requirement]:
    """The requirements that hold for this Python and system."""
    for line in requirements:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            yield wanted
