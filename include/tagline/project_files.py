"""The definition files of a project as they stand, each parsed for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tagline.crosscheck import check_file_name
from tagline.definitions import (
    AnyModel,
    AnyTag,
    BusinessDefinition,
    FileTag,
    IdentityRules,
    LabelSet,
    PolicyDefinition,
    Source,
    Standard,
    Standards,
    TableDefinition,
    ThemeDefinition,
    Vocabulary,
)
from tagline.definitions.files import DefinitionFile, parse, read_file
from tagline.errors import DefinitionError, Fault, did_you_mean
from tagline.grading.companions import companions, slugs_of
from tagline.sqlfiles import SqlFile, parse_sql


@dataclass
class TagFiles:
    definitions: dict[str, AnyTag] = field(default_factory=dict)
    files: dict[str, DefinitionFile] = field(default_factory=dict)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)  # which policy makes a tag


class Project:
    """Everything read from the files, with the faults found so far."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[Fault] = []
        self.broken: set[tuple[str, str]] = set()  # named, though their files have faults
        self.files: dict[tuple[str, str], DefinitionFile] = {}
        self.businesses: dict[str, BusinessDefinition] = self.all("businesses", BusinessDefinition)
        self.tables: dict[str, TableDefinition] = self.all("tables", TableDefinition)
        self.sources: dict[str, Source] = self.all("sources", Source)
        self.models: dict[str, AnyModel] = self.all("models", AnyModel)
        self.label_sets: dict[str, LabelSet] = self.all("label_sets", LabelSet, "labels")
        self.identities: dict[str, IdentityRules] = self.all("identity", IdentityRules)
        self.vocabularies: dict[str, Vocabulary] = self.all("vocabularies", Vocabulary)
        self.standards: dict[str, Standard] = self.read_standards()
        self.derived = self.sql("derived")
        self.labels = self.sql("labels")
        self.inputs = self.sql("inputs")
        self.feeds = {
            (source.name, path.stem): self.one_sql(path)
            for source in sorted((root / "sql" / "sources").glob("*"))
            for path in sorted(source.glob("*.sql"))
        }
        self.themes: dict[str, ThemeDefinition] = {}
        self.tags = self.read_tags()
        self.policies: dict[str, PolicyDefinition] = self.all("policies", PolicyDefinition)
        for name in sorted(self.policies):
            self.add_policy(name, self.policies[name])

    def attempt(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except DefinitionError as error:
            self.faults.extend(error.faults)
            return None

    def one(self, kind: str, path: Path, shape: Any) -> Any:
        file = self.attempt(lambda: read_file(path, self.root))
        if file is None:
            self.broken.add((kind, path.stem))
            return None
        self.files[kind, path.stem] = file
        found = self.attempt(lambda: parse(file, shape))
        if found is None:
            self.broken.add((kind, path.stem))
        return found

    def all(self, kind: str, shape: Any, folder: str | None = None) -> dict[str, Any]:
        found = {
            path.stem: self.one(kind, path, shape)
            for path in sorted((self.root / (folder or kind)).glob("*.yaml"))
        }
        return {name: definition for name, definition in found.items() if definition is not None}

    def read_standards(self) -> dict[str, Standard]:
        path = self.root / "standards.yaml"
        if not path.exists():
            return {}
        found: Standards | None = self.one("standards", path, Standards)
        return dict(found.standards) if found else {}

    def one_sql(self, path: Path) -> SqlFile | None:
        name = path.relative_to(self.root).as_posix()
        found: SqlFile | None = self.attempt(lambda: parse_sql(name, path.read_text("utf-8")))
        return found

    def sql(self, folder: str) -> dict[str, SqlFile]:
        paths = sorted((self.root / "sql" / folder).glob("*.sql"))
        found = {path.stem: self.one_sql(path) for path in paths}
        self.broken |= {(folder, name) for name, file in found.items() if file is None}
        return {name: file for name, file in found.items() if file is not None}

    def read_tags(self) -> TagFiles:
        tags = TagFiles()
        folder = self.root / "tags"
        for theme in sorted(path for path in folder.glob("*") if path.is_dir()):
            definition = self.one("themes", theme / "theme.yaml", ThemeDefinition)
            if definition is not None:
                self.themes[theme.name] = definition
            for path in sorted(theme.rglob("*.yaml")):
                if path.name != "theme.yaml":
                    self.read_tag(tags, path, theme.name, definition)
        return tags

    def read_tag(
        self, tags: TagFiles, path: Path, theme: str, definition: ThemeDefinition | None
    ) -> None:
        name, slug = path.relative_to(self.root).as_posix(), path.stem
        self.faults += check_file_name(name, "tag", slug)
        parts = path.relative_to(self.root / "tags").parts
        if len(parts) != 3:
            message = "a tag lies in tags/<theme>/<dimension>/<tag>.yaml"
            self.faults.append(Fault(name, 1, message))
            return
        if definition is not None and parts[1] not in definition.dimensions:
            close = did_you_mean(parts[1], definition.dimensions)
            message = f"theme {theme} has no dimension {parts[1]!r} in its theme.yaml.{close}"
            self.faults.append(Fault(name, 1, message))
        if slug in tags.places:
            other = tags.files[slug].name if slug in tags.files else slug
            self.faults.append(Fault(name, 1, f"tag {slug!r} is defined already in {other}"))
            return
        tags.places[slug] = (theme, parts[1])
        tag = self.one("tags", path, FileTag)
        if ("tags", slug) in self.files:
            tags.files[slug] = self.files["tags", slug]
        if tag is not None:
            tags.definitions[slug] = tag

    def add_policy(self, name: str, policy: PolicyDefinition) -> None:
        """Add the tags that a policy makes to those that have files."""
        file, tags = self.files["policies", name], self.tags
        longest = max(slugs_of(name), key=len)
        named = [check_file_name(file.name, "policy", each) for each in (name, longest)]
        if faults := next(filter(None, named), None):
            self.faults += faults
            self.broken.add(("policies", name))
            del self.policies[name]
            return
        made = companions(name, policy)
        theme = self.themes.get(policy.theme)
        if theme is None and ("themes", "theme") not in self.broken:
            close = did_you_mean(policy.theme, self.themes)
            self.faults.append(file.fault(("theme",), f"unknown theme {policy.theme!r}.{close}"))
        elif theme is not None and policy.dimension not in theme.dimensions:
            close = did_you_mean(policy.dimension, theme.dimensions)
            said = f"theme {policy.theme} has no dimension {policy.dimension!r}.{close}"
            self.faults.append(file.fault(("dimension",), said))
        for slug, tag in made.items():
            if slug in tags.places:
                other = tags.files[slug].name if slug in tags.files else slug
                said = f"the policy makes a tag {slug!r}, which is defined already in {other}"
                self.faults.append(file.fault((), said))
                continue
            tags.places[slug] = (policy.theme, policy.dimension)
            tags.files[slug], tags.policies[slug] = file, name
            tags.definitions[slug] = tag
