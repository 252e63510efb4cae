"""A customer's profile: every released tag with its version, its age and its reason."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from tagline.definitions.tag import AnyTag
from tagline.engines import literal
from tagline.errors import TaglineError
from tagline.registry.schema import Release
from tagline.serve.reasons import because
from tagline.serve.released import relation_of, wanted_release
from tagline.serve.store import ProfileStore, open_profile_store, rows_sql

if TYPE_CHECKING:
    from tagline.deployment import Deployment

_TAG: TypeAdapter[AnyTag] = TypeAdapter(AnyTag)
_REMEMBERED = 4  # releases whose rows and definitions a reader keeps in memory


def profile(
    deployment: Deployment, customer_id: str, as_of: datetime | None, at: datetime
) -> dict[str, Any]:
    """A customer's profile of the live release, or of that of an as_of.

    `{customer_id, as_of, release, tags: {slug: {value, version, expired, because}}}`
    """
    with open_profile_store(deployment.settings) as store:
        return ProfileReader(deployment, store).profile(customer_id, as_of, at)


class ProfileReader:
    """Reads profiles one after the other, remembering what does not change of a release."""

    def __init__(self, deployment: Deployment, store: ProfileStore) -> None:
        self._deployment = deployment
        self._store = store
        self._known: OrderedDict[int, dict[str, AnyTag]] = OrderedDict()

    def profile(self, customer_id: str, as_of: datetime | None, at: datetime) -> dict[str, Any]:
        """See `profile`."""
        release = wanted_release(self._deployment.registry, as_of)
        row = self._row(release, customer_id)
        definitions = self._definitions(release)
        clock = self._clock(release, as_of, at)
        tags = {
            slug: _entry(slug, entry, definitions.get(slug), row, release, clock)
            for slug, entry in release.tags.items()
            if entry["state"] != "unavailable"
        }
        return {
            "customer_id": customer_id,
            "as_of": release.as_of.isoformat(),
            "release": release.id,
            "tags": tags,
        }

    def _row(self, release: Release, customer_id: str) -> dict[str, Any]:
        row = self._store.row(release.id, customer_id)
        if row is None and release.id not in self._store.stored():
            row = _row_in_files(self._deployment, release, customer_id)
        if row is None:
            raise TaglineError(
                f"unknown customer {customer_id!r} in release {release.id} as of "
                f"{release.as_of.isoformat()}. List customers with "
                "`tagline audience true --ids`."
            )
        return row

    def _definitions(self, release: Release) -> dict[str, AnyTag]:
        """The definitions that the release was made with, by slug."""
        known = self._known.get(release.id)
        if known is None:
            known = {
                slug: self._definition(slug, entry["version"])
                for slug, entry in release.tags.items()
                if entry["version"] is not None
            }
            self._known[release.id] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _definition(self, slug: str, version: str) -> AnyTag:
        tag = self._deployment.catalog.tags.get(slug)
        if tag is not None and tag.version == version:
            return tag.definition
        return _TAG.validate_python(self._deployment.registry.definition_of(slug, version))

    def _clock(self, release: Release, as_of: datetime | None, at: datetime) -> datetime:
        """The instant that the age of a value is told against.

        It is the as_of where one was asked for, else the present. The present of a business whose
        data has ended is its live release: time does not pass for it.
        """
        if as_of is not None:
            return as_of
        catalog = self._deployment.catalog
        ends_on = catalog.definition.ends_on
        if ends_on is not None and at >= catalog.midnight(ends_on + timedelta(days=1)):
            return release.as_of
        return at


def _entry(
    slug: str,
    entry: Mapping[str, Any],
    definition: AnyTag | None,
    row: Mapping[str, Any],
    release: Release,
    clock: datetime,
) -> dict[str, Any]:
    if definition is None:  # withheld before it was ever released
        return {"value": None, "version": None, "expired": False, "because": entry["reason"]}
    age = clock - datetime.fromisoformat(entry["as_of"])
    reason = because(slug, definition, row, release.models)
    if entry["state"] == "withheld":
        reason += f" (as of {entry['as_of'][:10]}: {entry['reason']})"
    return {
        "value": row.get(slug),
        "version": entry["version"],
        "expired": age > definition.valid_for,
        "because": reason,
    }


def _row_in_files(
    deployment: Deployment, release: Release, customer_id: str
) -> dict[str, Any] | None:
    condition = f"customer_id = {literal(customer_id)}"
    found = deployment.engine.fetch(rows_sql(release, condition), {"tags": relation_of(release)})
    if found.num_rows == 0:
        return None
    row: dict[str, Any] = json.loads(found.column("row")[0].as_py())
    return row
