"""What of a candidate may be released."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tagline.definitions.tag import Stability
from tagline.gate import Judged, decide, gate, movements

BAD = ("coverage is 0.5, at least 0.9 is allowed",)
MOVED = ("PSI against release 1 is 0.4, at most 0.2 is allowed",)


def test_a_candidate_within_its_limits_passes() -> None:
    report = decide({"amount": Judged(), "segment": Judged(reads=("amount",))}, 10)
    assert report.verdict == "pass" and report.reasons == ()
    assert {tag.verdict for tag in report.tags.values()} == {"pass"}


def test_a_moved_tag_warns_and_what_is_made_from_it_does_not() -> None:
    tags = {"amount": Judged(movements=MOVED), "segment": Judged(reads=("amount",))}
    report = decide(tags, 10)
    assert report.verdict == "warn"
    assert report.reasons == ("amount: " + MOVED[0] + ".",)
    assert report.tags["segment"].verdict == "pass"


def test_a_failing_tag_is_withheld_with_all_that_is_made_from_it() -> None:
    tags = {
        "amount": Judged(failures=BAD),
        "rank": Judged(reads=("amount",)),
        "segment": Judged(reads=("rank", "other"), movements=MOVED),
        "other": Judged(),
    }
    report = decide(tags, 10, released={"amount", "rank", "segment"})
    assert report.verdict == "warn"
    verdicts = {slug: tag.verdict for slug, tag in report.tags.items()}
    assert verdicts == {
        "amount": "withhold",
        "rank": "withhold",
        "segment": "withhold",
        "other": "pass",
    }
    assert report.tags["segment"].reasons[0] == "segment is made from rank, which is withheld."
    assert report.reasons[0] == f"amount: {BAD[0]}."


def test_a_withheld_tag_that_was_never_released_is_said_to_be_unavailable() -> None:
    report = decide({"amount": Judged(failures=BAD)}, 10)
    assert report.tags["amount"].reasons == (
        f"amount: {BAD[0]}.",
        "amount has no earlier released values, so it is unavailable.",
    )


def test_a_critical_tag_that_fails_or_reads_one_that_fails_holds_the_candidate() -> None:
    failing = decide({"amount": Judged(failures=BAD, critical=True), "b": Judged()}, 10)
    assert failing.verdict == "hold"
    assert failing.reasons[0] == f"Critical tag amount: {BAD[0]}."
    assert f"amount: {BAD[0]}." not in failing.reasons, "said once"
    reading = {"amount": Judged(failures=BAD), "rank": Judged(reads=("amount",), critical=True)}
    assert decide(reading, 10).verdict == "hold"


def test_an_unavailable_tag_holds_only_where_it_is_critical() -> None:
    gone = Judged(unavailable="no champion")
    report = decide({"lapse": gone, "amount": Judged()}, 10)
    assert report.verdict == "pass" and "lapse" not in report.tags
    held = decide({"lapse": Judged(unavailable="no champion", critical=True)}, 10)
    assert held.verdict == "hold"
    assert held.reasons == ("Critical tag lapse is unavailable: no champion",)


def test_a_candidate_without_customers_is_held() -> None:
    report = decide({"amount": Judged()}, 0)
    assert (report.verdict, report.reasons) == ("hold", ("The candidate has no customers.",))


@st.composite
def tag_graphs(draw: st.DrawFn) -> dict[str, Judged]:
    count = draw(st.integers(1, 14))
    tags: dict[str, Judged] = {}
    for number in range(count):
        earlier = list(tags)
        reads = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        tags[f"t{number}"] = Judged(
            reads=tuple(reads),
            critical=draw(st.booleans()),
            failures=draw(st.sampled_from([(), (), (), BAD])),
            movements=draw(st.sampled_from([(), (), MOVED])),
            unavailable=draw(st.sampled_from([None, None, None, "no champion"])),
        )
    return tags


def reachable(tags: dict[str, Judged], slug: str) -> set[str]:
    """The tag and all available tags that it is made from through available ones."""
    found: set[str] = set()
    stack = [slug]
    while stack:
        name = stack.pop()
        if name not in found and tags[name].unavailable is None:
            found.add(name)
            stack.extend(tags[name].reads)
    return found


@given(tag_graphs())
def test_exactly_the_tags_that_reach_a_failing_one_are_withheld(tags: dict[str, Judged]) -> None:
    report = decide(tags, 5, released=set(tags))
    available = {slug for slug, tag in tags.items() if tag.unavailable is None}
    assert report.tags.keys() == available
    for slug in available:
        fails = any(tags[name].failures for name in reachable(tags, slug))
        assert (report.tags[slug].verdict == "withhold") is fails
        assert bool(report.tags[slug].reasons) is (report.tags[slug].verdict != "pass")


@given(tag_graphs())
def test_the_verdict_is_the_worst_that_its_tags_deserve(tags: dict[str, Judged]) -> None:
    report = decide(tags, 5)
    withheld = {slug for slug, tag in report.tags.items() if tag.verdict == "withhold"}
    held = any(
        tag.critical and (tag.unavailable is not None or slug in withheld)
        for slug, tag in tags.items()
    )
    moved = any(tag.verdict != "pass" for tag in report.tags.values())
    assert report.verdict == ("hold" if held else "warn" if moved else "pass")
    assert bool(report.reasons) is (report.verdict != "pass")
    assert len(set(report.reasons)) == len(report.reasons)


@given(tag_graphs(), st.data())
def test_one_more_failing_tag_never_lets_another_through(
    tags: dict[str, Judged], data: st.DataObject
) -> None:
    worse = dict(tags)
    slug = data.draw(st.sampled_from(sorted(tags)))
    old = tags[slug]
    worse[slug] = Judged(old.reads, old.critical, BAD, old.movements, old.unavailable)
    before, after = decide(tags, 5), decide(worse, 5)
    for name, verdict in before.tags.items():
        if verdict.verdict == "withhold":
            assert after.tags[name].verdict == "withhold"


def test_stability_limits_are_sentences_with_what_limit_and_actual() -> None:
    profile = {"psi": 0.314, "changed": 0.5, "redefined": True}
    against = {"release": 12, "as_of": "2026-03-01T00:00:00+00:00"}
    limits = Stability(max_psi=0.2, max_changed=0.25)
    psi, changed = movements(profile, limits, against)
    assert psi == (
        "PSI against release 12 (as of 2026-03-01T00:00:00+00:00) is 0.314, "
        "at most 0.2 is allowed; its definition has changed since"
    )
    assert changed.startswith("50.0% of the customers changed against release 12")
    assert movements(profile, limits, None) == ()
    assert movements({"psi": None, "changed": 0.25}, limits, against) == ()


def test_the_stage_reads_the_audit_and_keeps_its_verdict() -> None:
    def tag(*reads: str, critical: bool = False) -> Any:
        definition = SimpleNamespace(critical=critical, stability=Stability(max_psi=0.2))
        return SimpleNamespace(reads=reads, definition=definition)

    stages: dict[str, Any] = {
        "audit": {
            "customers": 3,
            "compared_with": {"release": 1, "as_of": "2026-03-01"},
            "tags": {
                "amount": {"failures": list(BAD), "psi": 0.0},
                "rank": {"failures": [], "psi": 0.0},
                "city": {"failures": [], "psi": 0.3},
            },
        },
        "score": {"unavailable": {"lapse": "no champion"}},
    }
    saved: dict[str, Any] = {}
    before = SimpleNamespace(tags={"amount": {"as_of": "2026-03-01"}, "rank": {"as_of": None}})
    registry = SimpleNamespace(
        stage=lambda run_id, name: stages[name],
        save_stage=lambda run_id, name, output, seconds: saved.update({name: output}),
        release_before=lambda as_of: before,
    )
    deployment: Any = SimpleNamespace(
        registry=registry,
        catalog=SimpleNamespace(
            tags={"amount": tag(), "rank": tag("amount"), "city": tag(), "lapse": tag()}
        ),
    )
    at = datetime(2026, 3, 2, tzinfo=UTC)
    report = gate(deployment, "run", at, at)
    assert saved["gate"] == report.as_json()
    assert report.verdict == "warn"
    assert {slug: tag.verdict for slug, tag in report.tags.items()} == {
        "amount": "withhold",
        "rank": "withhold",
        "city": "warn",
    }
    assert "unavailable" not in " ".join(report.tags["amount"].reasons)
    assert "unavailable" in " ".join(report.tags["rank"].reasons)
