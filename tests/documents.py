"""The project's pages as tests read them: their sections, code blocks, spans and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagline.settings import PROJECT

PAGES = (
    PROJECT / "README.md",
    PROJECT / "CHANGELOG.md",
    *sorted((PROJECT / "docs").rglob("*.md")),
)
_FILE = re.compile(
    r"^(?:#|--) (?P<add>add to )?(?P<path>[\w.-]+/[\w./-]+)(?:, below (?P<below>\w+))?\n"
)


@dataclass(frozen=True)
class Block:
    """A fenced code block; a file where its first line is a comment with a path."""

    page: Path
    section: str
    language: str
    text: str

    @property
    def path(self) -> str | None:
        """The file that it is, or adds to."""
        found = _FILE.match(self.text)
        return found["path"] if found else None

    @property
    def adds(self) -> bool:
        """Whether it is added to a file that is there: at its end, or below a key."""
        found = _FILE.match(self.text)
        return bool(found and found["add"])

    def write(self, root: Path) -> Path:
        """Do what a reader does with it, in the project at `root`."""
        assert self.path is not None
        target = root / self.path
        target.parent.mkdir(parents=True, exist_ok=True)
        body = _FILE.sub("", self.text) if self.adds or self.language == "csv" else self.text
        found = _FILE.match(self.text)
        if found and found["below"]:
            key = re.compile(rf"^ *{found['below']}:.*\n", re.MULTILINE)
            there, times = key.subn(lambda line: line[0] + body, target.read_text("utf-8"))
            assert times == 1, f"{self.path} has no single line {found['below']}"
            target.write_text(there, "utf-8")
            return target
        with target.open("a" if self.adds else "w", encoding="utf-8") as file:
            file.write(body)
        return target


def blocks(page: Path) -> Iterator[Block]:
    """The code blocks of a page, in order."""
    section, fence, lines = "", None, list[str]()
    for line in page.read_text("utf-8").splitlines():
        if fence is None and line.startswith("```"):
            fence, lines = line[3:].strip(), []
        elif fence is not None and line == "```":
            yield Block(page, section, fence, "\n".join(lines) + "\n")
            fence = None
        elif fence is not None:
            lines.append(line)
        elif line.startswith("## "):
            section = line[3:]


def prose(page: Path) -> str:
    """The text of a page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def spans(page: Path) -> list[str]:
    """The code in the running text of a page."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    found = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}
