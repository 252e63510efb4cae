"""Definition files: YAML read with the line of every key, validated into definitions."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tagline.errors import DefinitionError, Fault, did_you_mean

Location = tuple[str | int, ...]
T = TypeVar("T")

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class DefinitionFile:
    """A parsed definition file: its data and the line of each key and list item.

    `name` is the path shown to people, relative to the folder that holds the definitions. The
    data is shared by all who read the same file, and is not changed.
    """

    name: str
    data: Any
    lines: Mapping[Location, int]

    def line(self, location: Iterable[str | int]) -> int:
        """The line of the deepest known part of `location`."""
        location = tuple(location)
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)

    def fault(self, location: Iterable[str | int], message: str) -> Fault:
        """A fault at the line of `location`."""
        return Fault(self.name, self.line(location), message)


def _advice(problem: str) -> str:
    """What usually lies behind the YAML reader's words."""
    if "mapping values are not allowed" in problem:
        return "; keys of one level start in the same column, and a text with ': ' stands in quotes"
    if "expected ',' or" in problem:
        return "; between braces or brackets, a text with a comma or ': ' stands in quotes"
    if "did not find expected key" in problem or "block mapping" in problem:
        return "; keys of one level start in the same column"
    return ""


def read_file(path: Path, root: Path) -> DefinitionFile:
    """Read one YAML file; raises DefinitionError for bad YAML, a repeated key or an empty file."""
    name = _shown(path, root)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError([Fault(name, 1, f"cannot be read: {error}")]) from error
    return _document(name, text)


@lru_cache(maxsize=1024)  # what has not changed is not read again by the same process
def _document(name: str, text: str) -> DefinitionFile:
    loader = _Loader(text)
    lines: dict[Location, int] = {}
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            fault = Fault(name, 1, "the file must hold a mapping of keys to values")
            raise DefinitionError([fault])
        repeated = list(_record(node, (), lines))
        data = _construct(loader, node)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or error
        line = mark.line + 1 if mark else 1
        message = f"not valid YAML: {problem}{_advice(str(problem))}"
        raise DefinitionError([Fault(name, line, message)]) from error
    finally:
        loader.dispose()
    if repeated:
        raise DefinitionError(
            Fault(name, line, f"key {key!r} is repeated") for key, line in repeated
        )
    return DefinitionFile(name, data, lines)


def _construct(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    """The node's data; raises ValueError also where a tag does not fit what it stands before."""
    try:
        return loader.construct_document(node)
    except AttributeError as error:  # PyYAML does not look whether `!!timestamp x` is one
        raise ValueError("a tag like !!timestamp stands before something else") from error


def parse(file: DefinitionFile, shape: Any) -> Any:
    """Validate a file's data as `shape` (a model or annotated union); all faults in one error."""
    if endless := list(_endless(file.data)):
        said = "no number to calculate with; write one between -1e308 and 1e308"
        raise DefinitionError(
            file.fault(place, f"{'.'.join(map(str, place))}: {number} is {said}")
            for place, number in endless
        )
    try:
        return _adapter(shape).validate_python(file.data)
    except ValidationError as error:
        details = [each for each in error.errors() if not _follows(each, error.errors())]
        raise DefinitionError(_fault(file, shape, detail) for detail in details) from error


def _endless(data: Any, location: Location = ()) -> Iterable[tuple[Location, str]]:
    """The numbers that are infinite, none at all, or too large to be calculated with."""
    if isinstance(data, dict | list):
        for part, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from _endless(value, (*location, part))
    elif isinstance(data, float) and not math.isfinite(data):
        yield location, str(data)
    elif isinstance(data, int) and abs(data) > sys.float_info.max:
        yield location, f"{str(data)[:20]}..."


@lru_cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    """Made once per shape: making it takes longer than a file's validation."""
    return TypeAdapter(shape)


def _follows(detail: ErrorDetails, others: list[ErrorDetails]) -> bool:
    """Whether a list is only too short because its items have faults, which are told."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        other["loc"][: len(place)] == place and len(other["loc"]) > len(place) for other in others
    )


def _shown(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return str(path)


def _record(
    node: yaml.Node, location: Location, lines: dict[Location, int], above: tuple[int, ...] = ()
) -> Iterable[tuple[str, int]]:
    """Fill `lines`; yields repeated keys with their line.

    Raises ValueError for an alias that stands inside of what it names.
    """
    if id(node) in above:
        raise ValueError("an alias stands inside of what it names")
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                yield key.value, line
            seen.add(key.value)
            lines[(*location, key.value)] = line
            yield from _record(value, (*location, key.value), lines, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*location, index)] = value.start_mark.line + 1
            yield from _record(value, (*location, index), lines, above)


def _fault(file: DefinitionFile, shape: Any, detail: ErrorDetails) -> Fault:
    kind, context = detail["type"], detail.get("ctx", {})
    location = _in_file(file, shape, detail["loc"], kind)
    key = str(detail["loc"][-1]) if detail["loc"] else ""
    if kind == "extra_forbidden":
        known = known_keys(shape, file.data, location[:-1])
        return file.fault(location, f"unknown key {key!r}.{did_you_mean(key, known)}")
    if kind == "missing":
        return file.fault(location, f"missing key {key!r}: add it")
    if kind == "union_tag_not_found":
        return _without_kind(file, shape, location, str(context["discriminator"]).strip("'"))
    if kind == "union_tag_invalid":
        field = str(context["discriminator"]).strip("'")
        known = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
        wrong = str(context["tag"])
        message = f"unknown {field} {wrong!r}.{did_you_mean(wrong, known)}"
        return file.fault((*location, field), message)
    where = ".".join(str(part) for part in location) or "the file"
    given = detail["input"]
    message = detail["msg"].removeprefix("Value error, ")
    if "expected" in context and kind in ("literal_error", "enum"):
        expected = str(context["expected"]).replace(" or ", ",").split(",")
        close = did_you_mean(str(given), [part.strip(" '") for part in expected])
        if detail["loc"][-1] == "[key]":
            return file.fault(location, f"unknown key {given!r}.{close}")
        return file.fault(location, f"{where}: unknown value {given!r}.{close}")
    if kind == "too_short":
        return file.fault(location, f"{where}: at least {context['min_length']} is needed")
    if kind == "value_error":
        return file.fault(location, f"{where}: {message}")
    shown = repr(given)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return file.fault(location, f"{where}: {message[:1].lower()}{message[1:]}, not {shown}")


def _without_kind(file: DefinitionFile, shape: Any, location: Location, key: str) -> Fault:
    """The fault of a mapping that lacks the key which says what it is, perhaps misspelt."""
    union = _annotation_at(shape, file.data, location)
    members = get_args(get_args(union)[0]) if get_origin(union) is Annotated else ()
    known = {name for member in members for name in getattr(member, "model_fields", {})}
    written = [name for name in reduce(_step, location, file.data) if name not in known]
    close = difflib.get_close_matches(key, written, n=1, cutoff=0.6)
    if close:
        place = (*location, close[0])
        return file.fault(place, f"unknown key {close[0]!r}. Did you mean {key!r}?")
    return file.fault(location, f"missing key {key!r}: add it")


def _in_file(
    file: DefinitionFile, shape: Any, location: Iterable[str | int], kind: str
) -> Location:
    """Pydantic's location without the names of union members, which are not in the file."""
    parts = list(location)
    told_apart = get_origin(shape) is Annotated and kind not in (
        "union_tag_not_found",
        "union_tag_invalid",
    )
    if told_apart and parts:
        parts = parts[1:]
    found: Location = ()
    for index, part in enumerate(parts):
        names_a_key = kind in ("missing", "extra_forbidden") and index == len(parts) - 1
        if (*found, part) in file.lines or names_a_key:
            found = (*found, part)
    return found


def known_keys(shape: Any, data: Any, location: Location) -> list[str]:
    """The keys that `shape` knows at `location` of `data`."""
    model = _resolve(_annotation_at(shape, data, location), reduce(_step, location, data))
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


def _annotation_at(shape: Any, data: Any, location: Location) -> Any:
    """What is declared at `location` of `data`; None where nothing is."""
    for part in location:
        model = _resolve(shape, data)
        if model is None:
            return None
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = _field(model, str(part))
            shape = field.annotation if field else None
        else:
            arguments = get_args(model)
            shape = arguments[-1] if arguments and arguments[-1] is not Ellipsis else None
            shape = shape or (arguments[0] if arguments else None)
        data = _step(data, part)
    return shape


def _field(model: type[BaseModel], key: str) -> FieldInfo | None:
    for name, field in model.model_fields.items():
        if key == (field.alias or name):
            return field
    return None


def _step(data: Any, part: str | int) -> Any:
    try:
        return data[part]
    except (KeyError, IndexError, TypeError):
        return None


def _resolve(shape: Any, data: Any) -> Any:
    """A union narrowed to the member that fits `data`; other annotations as they are."""
    if get_origin(shape) is Annotated:
        return _resolve(get_args(shape)[0], data)
    if get_origin(shape) in (Union, UnionType):
        members = [member for member in get_args(shape) if member is not type(None)]
        for member in members:
            for discriminator in ("kind", "task", "type", "by"):
                field = getattr(member, "model_fields", {}).get(discriminator)
                if field is None or not isinstance(data, dict):
                    continue
                if data.get(discriminator) in get_args(field.annotation):
                    return member
        return members[0] if len(members) == 1 else None
    return shape
