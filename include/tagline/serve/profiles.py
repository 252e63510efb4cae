"""A customer's profile: every released tag with its version, its age and its reason."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from tagline.definitions.tag import AnyTag
from tagline.errors import UnknownCustomer
from tagline.registry.schema import Release
from tagline.serve.reasons import Reason, reason_in_chinese, reason_of
from tagline.serve.released import subject_of, wanted_release
from tagline.serve.store import ProfileStore, open_profile_store, row_in_files
from tagline.subjects import CUSTOMER, Subject

if TYPE_CHECKING:
    from tagline.deployment import Deployment

_TAG: TypeAdapter[AnyTag] = TypeAdapter(AnyTag)
_REMEMBERED = 8  # releases that a reader keeps prepared


def profile(
    deployment: Deployment,
    customer_id: str,
    as_of: datetime | None,
    at: datetime,
    subject: Subject = CUSTOMER,
) -> dict[str, Any]:
    """A customer's profile of the live release, or of that of an as_of.

    `{customer_id, as_of, release, tags: {slug: {value, version, expired, because}}}`, with
    `because_zh` where the definition has Chinese words; that of another subject has its key in
    the place of customer_id.
    """
    with open_profile_store(deployment.settings) as store:
        return ProfileReader(deployment, store).profile(customer_id, as_of, at, subject)


@dataclass(frozen=True)
class _Tag:
    """A tag of a release, prepared for many customers."""

    slug: str
    version: str | None
    fresh_until: datetime | None  # None where it has no values
    reason: Reason
    in_chinese: Reason | None = None


@dataclass(frozen=True)
class _Prepared:
    release: Release
    as_of: str
    tags: tuple[_Tag, ...]


class ProfileReader:
    """Reads profiles one after the other, remembering what never changes of a release.

    Which release is live is looked up each time.
    """

    def __init__(self, deployment: Deployment, store: ProfileStore) -> None:
        self._deployment = deployment
        self._store = store
        self._known: OrderedDict[tuple[int, Subject], _Prepared] = OrderedDict()

    def profile(
        self,
        customer_id: str,
        as_of: datetime | None,
        at: datetime,
        subject: Subject = CUSTOMER,
    ) -> dict[str, Any]:
        """See `profile`."""
        prepared = self._prepared(as_of, subject)
        row = self._row(prepared.release, customer_id, subject)
        clock = self._clock(prepared.release, as_of, at)
        return {
            subject.key: customer_id,
            "as_of": prepared.as_of,
            "release": prepared.release.id,
            "tags": {
                tag.slug: {
                    "value": row.get(tag.slug),
                    "version": tag.version,
                    "expired": tag.fresh_until is not None and clock > tag.fresh_until,
                    "because": tag.reason(row),
                }
                | ({"because_zh": tag.in_chinese(row)} if tag.in_chinese else {})
                for tag in prepared.tags
            },
        }

    def _prepared(self, as_of: datetime | None, subject: Subject) -> _Prepared:
        registry = self._deployment.registry
        if as_of is None:
            live = registry.live_id()
            known = None if live is None else self._known.get((live, subject))
            if known is not None:
                return known
        release = wanted_release(registry, as_of)
        known = self._known.get((release.id, subject))
        if known is None:
            known = self._known[release.id, subject] = self._prepare(release, subject)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known

    def _prepare(self, release: Release, subject: Subject) -> _Prepared:
        tags = tuple(
            self._prepare_tag(slug, entry, release)
            for slug, entry in sorted(release.tags.items())
            if entry["state"] != "unavailable" and subject_of(entry) is subject
        )
        return _Prepared(release, release.as_of.isoformat(), tags)

    def _prepare_tag(self, slug: str, entry: Mapping[str, Any], release: Release) -> _Tag:
        version = entry["version"]
        if version is None:  # withheld before it was ever released
            withheld: str = entry["reason"]
            return _Tag(slug, None, None, lambda _row: withheld)
        definition = self._definition(slug, version)
        reason = reason_of(slug, definition, release.models)
        in_chinese = reason_in_chinese(slug, definition)
        if entry["state"] == "withheld":
            remark = f" (as of {entry['as_of'][:10]}: {entry['reason']})"
            reason = _with_remark(reason, remark)
            in_chinese = _with_remark(in_chinese, remark) if in_chinese else None
        made = datetime.fromisoformat(entry["as_of"])
        return _Tag(slug, version, made + definition.valid_for, reason, in_chinese)

    def _definition(self, slug: str, version: str) -> AnyTag:
        """The definition that made a value, which may be an earlier one than today's."""
        tag = self._deployment.catalog.tags.get(slug)
        if tag is not None and tag.version == version:
            return tag.definition
        return _TAG.validate_python(self._deployment.registry.definition_of(slug, version))

    def _row(self, release: Release, key: str, subject: Subject) -> dict[str, Any]:
        row = self._store.row(release.id, key) if subject is CUSTOMER else None
        if row is None:  # not in the store, or not yet: the files are there before the release is
            row = row_in_files(self._deployment.engine, release, key, subject)
        if row is None:
            option = "" if subject is CUSTOMER else f" --subject {subject.name}"
            raise UnknownCustomer(
                f"unknown {subject.name} {key!r} in release {release.id} as of "
                f"{release.as_of.isoformat()}. List {subject.table} with "
                f"`tagline audience true --ids{option}`."
            )
        return row

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


def _with_remark(reason: Reason, remark: str) -> Reason:
    return lambda row: reason(row) + remark
