"""Who is one customer: rules over evidence written by hand, and properties over drawn evidence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence import RULES, Resolved, Said, account, day, rules

from tagline.identity.groups import Grouping
from tagline.identity.standing import Span, Standing, microseconds


def test_the_earliest_account_gives_its_number_to_all_that_hold_the_same_tax_number() -> None:
    found = Resolved(
        [
            *account("K2", 3, tax="911111111"),
            *account("K1", 5, tax="911111111"),
            Said("mes:7", "tax", "911111111", 9),
        ]
    )
    assert found.customers(4) == {"crm:K2": "K2"}
    assert found.customers(20) == {"crm:K1": "K2", "crm:K2": "K2", "mes:7": "K2"}
    link = found.links(20)["mes:7"]
    assert (link.rule, link.evidence, link.linked_key) == ("same_tax", "tax 911111111", "crm:K2")
    assert found.links(20)["crm:K2"].rule == "lead"


def test_two_tax_numbers_keep_accounts_apart_unless_one_is_a_slip_of_the_pen() -> None:
    found = Resolved(
        [
            *account("K1", tax="911111111", phone="+1"),
            *account("K2", 1, tax="922222222", phone="+1"),
            *account("K3", tax="933333333", phone="+3"),
            *account("K4", 1, tax="933833333", phone="+3"),
        ]
    )
    assert found.customers(9) == {"crm:K1": "K1", "crm:K2": "K2", "crm:K3": "K3", "crm:K4": "K3"}
    assert found.doubtful(9) == [("contradiction", "same_phone", ("crm:K1", "crm:K2"))]
    assert "911111111 and 922222222" in found.doubts(9).pop().against


def test_a_telephone_goes_along_with_the_person_who_changes_company() -> None:
    found = Resolved(
        [
            *account("K1", phone="+1"),
            *account("K2"),
            Said("phone:+1", "phone", "+1", 0),
            Said("crm:K1", "phone", "+1", 10, is_held=False),
            Said("crm:K2", "phone", "+1", 10),
        ]
    )
    assert found.customers(10)["phone:+1"] == "K1"  # as of an instant, what happens at it has not
    assert found.customers(10.5)["phone:+1"] == "K2"


def test_a_key_has_no_customer_any_more_when_its_evidence_ends() -> None:
    found = Resolved(
        [
            *account("K1", phone="+1"),
            Said("phone:+1", "phone", "+1", 0),
            Said("crm:K1", "phone", "+1", 10, is_held=False),
        ]
    )
    assert found.customers(20) == {"crm:K1": "K1"}
    assert found.changes[-1] == ("phone:+1", microseconds(day(10)), None)


def test_a_recorded_merge_holds_until_it_is_taken_back_and_then_keeps_apart() -> None:
    found = Resolved(
        [
            *account("K1", phone="+1"),
            *account("K2", 2),
            Said("phone:+2", "phone", "+2", 3),
            Said("crm:K2", "phone", "+2", 3),
            Said("crm:K2", "merged_into", "crm:K1", 5),
            Said("crm:K2", "merged_into", "crm:K1", 15, is_held=False),
            Said("crm:K2", "phone", "+1", 17),  # would join them, had nobody taken them apart
        ]
    )
    assert set(found.customers(10).values()) == {"K1"}
    assert found.links(10)["crm:K2"].rule == "merge"
    apart = {"crm:K1": "K1", "crm:K2": "K2", "phone:+2": "K2"}
    assert found.customers(16) == apart
    assert found.customers(20) == apart
    assert ("contradiction", "same_phone", ("crm:K1", "crm:K2")) in found.doubtful(20)


def test_an_account_of_two_numbers_keeps_the_older_one_while_it_holds_that() -> None:
    found = Resolved(
        [
            *account("K1", phone="+1"),
            Said("phone:+1", "phone", "+1", 0),
            Said("crm:K1", "account", "K9", 5),
            Said("crm:K1", "account", "K9", 10, is_held=False),
            Said("crm:K1", "account", "K8", 15),
            Said("crm:K1", "account", "K1", 20, is_held=False),
        ]
    )
    for at in (4, 7, 12, 17):
        assert found.customers(at) == {"crm:K1": "K1", "phone:+1": "K1"}
    assert found.customers(22) == {"crm:K1": "K8", "phone:+1": "K8"}


@pytest.mark.parametrize("again", [("crm:K1", "crm:K2"), ("crm:K2", "crm:K1")])
def test_a_merge_taken_back_in_both_directions_keeps_apart_until_neither_is(
    again: tuple[str, str],
) -> None:
    there, back = ("crm:K1", "crm:K2"), ("crm:K2", "crm:K1")
    merges = [
        Said(one, "merged_into", other, at, is_held)
        for one, other in (there, back)
        for at, is_held in ((2, True), (5, False))
    ]
    held = [*account("K1", phone="+1"), *account("K2", 1, phone="+1"), *merges]
    one, other = again
    found = Resolved([*held, Said(one, "merged_into", other, 8)])
    assert found.customers(7) == {"crm:K1": "K1", "crm:K2": "K2"}
    assert found.customers(9) == found.customers(7)
    assert ("contradiction", "merge", ("crm:K1", "crm:K2")) in found.doubtful(9)
    both = Resolved([*held, *(Said(x, "merged_into", y, 8) for x, y in (there, back))])
    assert set(both.customers(9).values()) == {"K1"}


def test_a_merge_moves_nobody_else() -> None:
    others = [*account("K8", phone="+8"), *account("K9", phone="+9"), Said("app:1", "phone", "+9")]
    merge = [
        *account("K1"),
        *account("K2", 1),
        Said("crm:K2", "merged_into", "crm:K1", 5),
        Said("crm:K2", "merged_into", "crm:K1", 15, is_held=False),
    ]
    found = Resolved([*others, *merge])
    moved = {change.key for change in found.changes if change.start > microseconds(day(2))}
    assert moved == {"crm:K2"}


def test_a_deleted_account_leads_no_more_and_its_keys_stay_with_the_survivor() -> None:
    found = Resolved(
        [
            *account("K1", 5),
            *account("K2", 0, phone="+2"),
            Said("phone:+2", "phone", "+2", 1),
            Said("crm:K2", "merged_into", "crm:K1", 9),
            Said("crm:K2", "account", "K2", 9, is_held=False),
        ]
    )
    assert found.customers(8) == {"crm:K1": "K1", "crm:K2": "K2", "phone:+2": "K2"}
    assert set(found.customers(10).values()) == {"K1"}


def test_keys_without_a_number_never_join_two_customers() -> None:
    """The telephone is of K1, the name of K2: the stronger rule decides, K1 and K2 stay two."""
    found = Resolved(
        [
            *account("K1", phone="+1", name="north"),
            *account("K2", phone="+2", name="south"),
            Said("app:1", "phone", "+1"),
            Said("app:1", "name", "south"),
        ]
    )
    assert found.customers(9) == {"crm:K1": "K1", "crm:K2": "K2", "app:1": "K1"}


def test_a_name_of_two_customers_decides_nothing_until_stronger_evidence_does() -> None:
    told = [
        *account("K1", name="twin"),
        *account("K2", name="twin"),
        Said("survey:a", "name", "twin"),
    ]
    found = Resolved([*told, Said("survey:a", "asked_about", "m1", 5)])
    assert "survey:a" not in found.customers(20)
    assert ("ambiguous", "same_name", ("crm:K1", "crm:K2", "survey:a")) in found.doubtful(20)
    assert ("candidate", "same_name", ("crm:K1", "crm:K2")) in found.doubtful(20)
    asked = [
        Said("crm:K2", "owns", "m1", 1),
        *(Said("survey:a", "asked_about", "m1", at) for at in (5, 6)),
    ]
    assert Resolved([*told, *asked]).customers(20)["survey:a"] == "K2"


def test_who_asks_about_a_machine_belongs_to_its_owner_of_that_time() -> None:
    sold = [
        *account("K1"),
        *account("K2"),
        Said("crm:K1", "owns", "m1", 0),
        Said("crm:K1", "owns", "m1", 10, is_held=False),
        Said("crm:K2", "owns", "m1", 10),
    ]
    early = Resolved([*sold, *(Said("phone:+1", "asked_about", "m1", at) for at in (3, 6))])
    assert early.customers(5) == {"crm:K1": "K1", "crm:K2": "K2"}  # once is not enough
    assert early.customers(30)["phone:+1"] == "K1"
    late = Resolved([*sold, *(Said("phone:+1", "asked_about", "m1", at) for at in (13, 16))])
    assert late.customers(30)["phone:+1"] == "K2"


def test_a_value_of_too_many_keys_proves_nothing_from_the_one_too_many_on() -> None:
    given = [*account("K1", phone="+1"), *(Said(f"app:{n}", "phone", "+1", n) for n in range(1, 5))]
    found = Resolved(given)
    assert set(found.customers(3.5)) == {"crm:K1", "app:1", "app:2", "app:3"}
    assert set(found.customers(4.5)) == {"crm:K1"}
    assert found.crowded() == [("+1", 5)]


def test_several_systems_say_the_same_until_the_last_of_them_takes_it_back() -> None:
    found = Resolved(
        [
            *account("K1", phone="+1"),
            Said("phone:+1", "phone", "+1", 1, system="sms"),
            Said("phone:+1", "phone", "+1", 2, system="desk"),
            Said("phone:+1", "phone", "+1", 5, is_held=False, system="sms"),
            Said("phone:+1", "phone", "+1", 9, is_held=False, system="desk"),
        ]
    )
    assert "phone:+1" in found.customers(9)
    assert "phone:+1" not in found.customers(10)
    assert len([change for change in found.changes if change.key == "phone:+1"]) == 2


def test_without_evidence_nobody_is_anyone() -> None:
    assert Resolved([]).changes == []
    assert Resolved([Said("phone:+1", "phone", "+1")]).changes == []


_KEYS = ("crm:K1", "crm:K2", "crm:K3", "app:1", "app:2", "phone:+1")
_VALUES: dict[str, tuple[str, ...]] = {
    "tax": ("911111111", "911111112", "922222222"),
    "merged_into": ("crm:K1", "crm:K2", "crm:K3"),
    "phone": ("+1", "+2"),
    "name": ("north", "south"),
    "asked_about": ("m1", "m2"),
    "owns": ("m1", "m2"),
}


@st.composite
def evidence(draw: st.DrawFn) -> list[Said]:
    said = {}
    for key in _KEYS[:3]:
        at = draw(st.integers(0, 6))
        said[key, "account", key[4:], at] = Said(key, "account", key[4:], at)
        if draw(st.booleans()):  # a second number, which may go again
            second, gone = draw(st.integers(0, 6)), draw(st.integers(7, 12))
            for when, is_held in ((second, True), (gone, False)):
                number = f"{key[4:]}b"
                said[key, "account", number, when] = Said(key, "account", number, when, is_held)
    for _ in range(draw(st.integers(0, 18))):
        key, kind = draw(st.sampled_from(_KEYS)), draw(st.sampled_from(sorted(_VALUES)))
        value, at = draw(st.sampled_from(_VALUES[kind])), draw(st.integers(0, 12))
        is_held = draw(st.sampled_from((True, True, False)))
        said[key, kind, value, at] = Said(key, kind, value, at, is_held)
    return list(said.values())


@settings(max_examples=15, deadline=None)
@given(evidence(), st.randoms(use_true_random=False), st.integers(0, 13))
def test_neither_the_order_of_evidence_nor_what_comes_later_ever_matters(
    said: list[Said], chance: Any, at: int
) -> None:
    found = Resolved(said)
    mixed = list(said)
    chance.shuffle(mixed)
    assert sorted(Resolved(mixed).changes) == sorted(found.changes)
    before = Resolved([each for each in said if each.at < at])
    assert before.links(at) == found.links(at)
    assert before.links(99) == found.links(at)


@settings(max_examples=20, deadline=None)
@given(evidence(), st.integers(0, 13))
def test_the_history_is_at_each_instant_what_all_that_is_held_then_says(
    said: list[Said], at: int
) -> None:
    found = Resolved(said)
    standing, moment = Standing(found.rules), microseconds(day(at))
    columns = (found.spans[name].to_pylist() for name in Span._fields)
    spans = [Span(*row) for row in zip(*columns, strict=True)]
    for span in spans:
        if span.start < moment <= span.end:
            standing.begin(span)
    assert Grouping(standing, {span.key for span in spans}).links() == found.links(at)


@settings(max_examples=20, deadline=None)
@given(evidence(), st.integers(0, 13))
def test_no_customer_ever_has_two_tax_numbers_or_accounts_that_were_taken_apart(
    said: list[Said], at: int
) -> None:
    customers = Resolved(said).customers(at)
    held: dict[tuple[str, str, str], bool] = {}
    ever: set[tuple[str, str]] = set()
    for each in sorted(said, key=lambda each: each.at):
        if each.at < at:
            if held.get((each.key, each.kind, each.value)) and not each.is_held:
                if each.kind == "merged_into" and each.key != each.value:
                    ever.add((each.key, each.value))
            elif each.kind == "merged_into" and each.is_held:
                ever.discard((each.key, each.value))
            held[each.key, each.kind, each.value] = each.is_held
    taxes: dict[str, set[str]] = {}
    for (key, kind, value), is_held in held.items():
        if is_held and kind == "tax" and key in customers:
            own = [v for (k, kd, v), h in held.items() if h and (k, kd) == (key, "tax")]
            if len(own) == 1:  # a key may itself hold two
                taxes.setdefault(customers[key], set()).add(value)
    for found in taxes.values():
        assert not {"911111111", "922222222"} <= found
        assert not {"911111112", "922222222"} <= found
    for one, other in ever:
        if one in customers and other in customers:
            assert customers[one] != customers[other]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lead": ""}, "lead"),
        ({"rules": [RULES["rules"][0], RULES["rules"][0]]}, "named twice"),
        ({"contradictions": [{"kind": "tax", "slips": 9}]}, "less than or equal to 3"),
    ],
)
def test_rules_that_make_no_sense_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rules(**change)
