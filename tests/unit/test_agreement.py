"""Agreement of annotators against published figures, and what their judgements come to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sklearn import metrics as reference

from tagline.definitions.label_set import LabelSet
from tagline.labels.agreement import agreement, cohen_kappa, fleiss_kappa
from tagline.labels.decided import Judgement, decide, independent

# Fleiss (1971), table 1: 30 patients, each diagnosed by 6 psychiatrists out of five categories
FLEISS_1971 = np.array(
    [
        [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0],
        [2, 0, 4, 0, 0], [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6],
        [1, 0, 0, 5, 0], [1, 1, 0, 4, 0], [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1],
        [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0], [0, 2, 0, 4, 0], [1, 0, 2, 0, 3],
        [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0], [1, 0, 0, 4, 1],
        [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
    ],
    dtype=float,
)  # fmt: skip
AT = datetime(2017, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
VALUES = ("calm", "glad", "angry")


def label_set(**changes: object) -> LabelSet:
    text = {"en": "Mood", "zh": "情绪"}
    values = {value: {"name": text, "guideline": text} for value in VALUES}
    return LabelSet.model_validate(
        {"name": text, "description": "How they feel.", "owner": "sales", "question": text}
        | {"values": values, "adjudicators": ["judge"]}
        | changes
    )


def annotated(
    kappa: float, customers: int, seed: int, annotators: int = 2
) -> dict[str, dict[str, str]]:
    """Answers of annotators whose kappa is known: each knows the truth or else guesses.

    With equally frequent values, annotators who know it with probability s agree beyond chance
    with kappa s².
    """
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, customers)
    found: dict[str, dict[str, str]] = {f"c{number}": {} for number in range(customers)}
    for name in range(annotators):
        knows = random.random(customers) < kappa**0.5
        answer = np.where(knows, truth, random.integers(0, 3, customers))
        for number, code in enumerate(answer):
            found[f"c{number}"][f"annotator {name}"] = VALUES[code]
    return found


def test_fleiss_kappa_is_that_of_his_paper() -> None:
    kappa = fleiss_kappa(FLEISS_1971)(np.ones((1, 30)))[0]
    assert kappa == pytest.approx(0.430, abs=0.0005)


def test_cohen_kappa_is_that_of_the_reference_with_any_weights() -> None:
    random = np.random.default_rng(1)
    first = random.integers(0, 3, 200)
    second = np.where(random.random(200) < 0.6, first, random.integers(0, 3, 200))
    weights = random.integers(0, 4, (3, 200)).astype(float)
    for row, found in zip(weights, cohen_kappa(first, second, 3)(weights), strict=True):
        wanted = reference.cohen_kappa_score(first, second, sample_weight=row)
        assert found == pytest.approx(wanted)


@pytest.mark.parametrize("annotators", [2, 4])
@pytest.mark.parametrize("kappa", [0.5, 0.8])
def test_the_kappa_of_simulated_annotators_is_found(kappa: float, annotators: int) -> None:
    found = agreement(annotated(kappa, 2000, seed=3, annotators=annotators), VALUES)
    assert found.measure == ("cohen" if annotators == 2 else "fleiss")
    assert found.customers == 2000
    assert found.kappa is not None
    assert found.kappa.low < kappa < found.kappa.high
    assert found.kappa.high - found.kappa.low < 0.08


def test_annotators_who_each_judge_others_are_measured_by_fleiss() -> None:
    answers = annotated(0.8, 900, seed=5, annotators=3)
    for number, said in enumerate(answers.values()):
        del said[f"annotator {number % 3}"]
    found = agreement(answers, VALUES)
    assert found.measure == "fleiss"
    assert found.annotators == ("annotator 0", "annotator 1", "annotator 2")
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(0.8, abs=0.04)


def test_no_agreement_is_measured_where_nothing_could_differ() -> None:
    alone = {"c1": {"ann": "calm"}, "c2": {"bob": "glad"}}
    assert agreement(alone, VALUES).kappa is None
    one_value = {name: {"ann": "calm", "bob": "calm"} for name in ("c1", "c2")}
    found = agreement(one_value, VALUES)
    assert found.kappa is None
    assert found.observed == 1


def judged(*rows: tuple[str, str, str | None, int]) -> list[Judgement]:
    """Judgements (customer, annotator, value, day)."""
    return [
        Judgement(str(number), customer, AT, value, who, AT + DAY * day)
        for number, (customer, who, value, day) in enumerate(rows)
    ]


def of_their_day(*rows: tuple[str, str, str | None, int]) -> list[Judgement]:
    """The same of a set whose answers speak of the day that they are given on."""
    return [replace(one, about_at=one.judged_at) for one in judged(*rows)]


def states(*rows: tuple[str, str, str | None, int]) -> dict[str, tuple[str, str | None]]:
    return {one.customer_id: (one.state, one.value) for one in decide(label_set(), judged(*rows))}


def test_a_label_needs_enough_annotators_and_more_than_half_of_them() -> None:
    assert states(
        ("one", "ann", "calm", 1),
        ("same", "ann", "calm", 1), ("same", "bob", "calm", 2),
        ("split", "ann", "calm", 1), ("split", "bob", "glad", 2),
        ("most", "ann", "calm", 1), ("most", "bob", "glad", 1), ("most", "eve", "glad", 1),
    ) == {
        "one": ("too few", None),
        "same": ("agreed", "calm"),
        "split": ("disagreed", None),
        "most": ("agreed", "glad"),
    }  # fmt: skip


def test_an_adjudicator_decides_and_is_not_counted_as_an_annotator() -> None:
    found = decide(
        label_set(),
        judged(("c", "ann", "calm", 1), ("c", "bob", "glad", 1), ("c", "judge", "angry", 2),
               ("c", "judge", "glad", 3)),
    )  # fmt: skip
    assert [(one.state, one.value) for one in found] == [("adjudicated", "glad")]
    assert list(independent(found).values()) == [{"ann": "calm", "bob": "glad"}]


def test_an_adjudicator_decides_nothing_where_the_others_agree_or_are_too_few() -> None:
    assert states(
        ("alone", "judge", "calm", 1),
        ("one", "ann", "calm", 1), ("one", "judge", "glad", 2),
        ("same", "ann", "calm", 1), ("same", "bob", "calm", 1), ("same", "judge", "glad", 2),
        ("anew", "ann", "calm", 1), ("anew", "bob", "glad", 1), ("anew", "judge", "calm", 2),
        ("anew", "ann", "glad", 3),
    ) == {
        "alone": ("too few", None),
        "one": ("too few", None),
        "same": ("agreed", "calm"),
        "anew": ("agreed", "glad"),
    }  # fmt: skip


def test_adjudicators_who_differ_at_the_same_instant_decide_nothing() -> None:
    two = label_set(adjudicators=["judge", "other judge"])
    disputed = (("c", "ann", "calm", 1), ("c", "bob", "glad", 1), ("c", "judge", "calm", 2))
    for day, state in ((2, "disagreed"), (3, "adjudicated")):
        found = decide(two, judged(*disputed, ("c", "other judge", "glad", day)))
        assert [one.state for one in found] == [state]


def test_answers_of_different_days_are_of_one_customer_where_they_speak_of_their_day() -> None:
    definition = label_set(speaks_of="judged")
    found = decide(definition, of_their_day(
        ("same", "ann", "calm", 1), ("same", "bob", "calm", 3), ("same", "ann", "calm", 2),
        ("settled", "ann", "calm", 1), ("settled", "bob", "glad", 2),
        ("settled", "judge", "glad", 4),
        ("less", "ann", "calm", 1), ("less", "bob", "calm", 2), ("less", "bob", None, 5),
    ))  # fmt: skip
    assert [(one.customer_id, one.about_at, one.state, one.value) for one in found] == [
        ("less", AT + DAY, "too few", None),
        ("same", AT + 3 * DAY, "agreed", "calm"),
        ("settled", AT + 4 * DAY, "adjudicated", "glad"),
    ]
    measured = agreement(independent(found), VALUES)
    assert (measured.customers, measured.observed) == (2, 0.5)


def test_the_newest_judgement_counts_and_may_be_taken_back() -> None:
    assert states(
        ("c", "ann", "calm", 1), ("c", "bob", "glad", 1), ("c", "ann", "glad", 2)
    ) == {"c": ("agreed", "glad")}  # fmt: skip
    assert states(
        ("c", "ann", "calm", 1), ("c", "bob", "calm", 1), ("c", "ann", None, 2)
    ) == {"c": ("too few", None)}  # fmt: skip
    assert states(("c", "ann", "no such value", 1)) == {}
