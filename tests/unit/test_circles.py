"""Circles of made-up customers: planted ones are found, and keep their identity."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from graspologic_native import modularity as reference_modularity
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from tagline.definitions.types import Names
from tagline.errors import ModelRefused
from tagline.training.circle_measures import Labels, agreement, chance, likeness, vectors
from tagline.training.circle_names import named, traits
from tagline.training.estimators.circle_graph import keys, modularity, neighbour_graph, sampled
from tagline.training.estimators.circles import Circles, identified


def planted(
    seed: int, groups: int = 4, size: int = 40, stray: float = 0.1
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Visits of customers to six shops of their own group, now and then to any other."""
    random = np.random.default_rng(seed)
    rows = []
    truth = {}
    for group, member in itertools.product(range(groups), range(size)):
        customer = f"c{group * size + member:04}"
        truth[customer] = group
        for shop in random.choice(6, 3, replace=False) + 6 * group:
            if random.random() < stray:
                shop = random.integers(6 * groups)
            rows.append((customer, f"shop {shop:02}", float(random.integers(1, 20))))
    return pd.DataFrame(rows, columns=["customer_id", "item", "weight"]), truth


def small(**given: object) -> Circles:
    return Circles(neighbours=10, **given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def market() -> tuple[pd.DataFrame, dict[str, int]]:
    return planted(1)


@pytest.fixture(scope="module")
def fitted(market: tuple[pd.DataFrame, dict[str, int]]) -> Circles:
    return small().fit(market[0])


def truth_of(model: Circles, truth: dict[str, int]) -> list[int]:
    return [truth[customer] for customer in model.customers_]


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_partition_is_found(seed: int) -> None:
    rows, truth = planted(seed)
    model = small(seed=seed).fit(rows)
    assert adjusted_rand_score(truth_of(model, truth), model.labels_) >= 0.9
    assert model.circles_.tolist() == [1, 2, 3, 4]
    assert model.sizes_.tolist() == sorted(model.sizes_, reverse=True)  # the largest is first


def test_the_same_seed_gives_the_same_circles_in_any_order_of_rows(
    market: tuple[pd.DataFrame, dict[str, int]], fitted: Circles
) -> None:
    for order in range(3):
        again = small().fit(market[0].sample(frac=1, random_state=order))
        assert np.array_equal(again.labels_, fitted.labels_)
        assert np.array_equal(again.centres_, fitted.centres_)


def test_rows_of_one_customer_and_item_are_added_up(
    market: tuple[pd.DataFrame, dict[str, int]], fitted: Circles
) -> None:
    halves = market[0].assign(weight=market[0]["weight"] / 2)
    twice = small().fit(pd.concat([halves, halves]))
    assert np.allclose(twice.centres_, fitted.centres_)


def test_what_customers_are_called_matters_only_among_equal_ones(
    market: tuple[pd.DataFrame, dict[str, int]], fitted: Circles
) -> None:
    rows, truth = market
    renamed = small().fit(rows.assign(customer_id="x" + rows["customer_id"].str[::-1]))
    back = ["".join(reversed(customer[1:])) for customer in renamed.customers_]
    assert (
        adjusted_rand_score(fitted.labels_of(np.array(back)), renamed.labels_of(renamed.customers_))
        >= 0.9
    )
    assert adjusted_rand_score([truth[each] for each in back], renamed.labels_) >= 0.9


def test_circles_keep_their_ids_when_started_from_the_earlier_ones(fitted: Circles) -> None:
    later, _ = planted(1)
    later.loc[::17, "item"] = "shop 00"
    again = small(seed=5).fit(later, previous=fitted)
    assert (again.labels_ == fitted.labels_of(again.customers_)).mean() > 0.95
    assert again.next_id_ == fitted.next_id_


def test_circles_that_no_longer_fit_are_searched_anew(fitted: Circles) -> None:
    rows, truth = planted(9)  # the same customers, in other groups
    mixed = {f"c{n:04}": f"c{(n * 67) % 160:04}" for n in range(160)}
    assert len(set(mixed.values())) == 160
    rows["customer_id"] = rows["customer_id"].map(mixed)
    model = small(min_overlap=0.5).fit(rows, previous=fitted)
    back = {new: truth[old] for old, new in mixed.items()}
    assert adjusted_rand_score(truth_of(model, back), model.labels_) >= 0.9
    assert set(model.circles_).isdisjoint(fitted.circles_)


def test_an_ended_circle_gives_its_id_to_no_other(fitted: Circles) -> None:
    rows, truth = planted(1)
    ended = next(iter(truth.values()))
    gone = fitted.labels_[0]
    left = rows[rows["customer_id"].map(truth) != ended]
    fewer = small().fit(left, previous=fitted)
    assert gone not in fewer.circles_
    fresh = left.assign(customer_id="n" + left["customer_id"], item="new " + left["item"])
    more = small().fit(pd.concat([left, fresh]), previous=fewer)
    born = set(more.circles_) - set(fewer.circles_)
    assert len(born) == 3
    assert min(born) == fitted.next_id_ > gone


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60),
    st.permutations(range(1, 5)),
)
def test_lasting_ids_do_not_depend_on_what_the_groups_were_called(
    pairs: list[tuple[int, int]], order: list[int]
) -> None:
    found, earlier = (np.array(side) for side in zip(*pairs, strict=True))
    first = identified(found, earlier, 5, 0.3)
    renamed = np.array([0, *order])[found]
    labels, next_id = identified(renamed, earlier, 5, 0.3)
    if _unambiguous(found, earlier):
        assert np.array_equal(labels, first[0])
    assert next_id == first[1]
    assert np.array_equal(labels == 0, found == 0)
    assert len(set(labels)) == len(set(found.tolist()))
    for circle in set(labels.tolist()) - {0}:
        ours, theirs = labels == circle, earlier == circle
        kept = (ours & theirs).sum() / (ours | theirs).sum()
        assert kept >= 0.3 if circle < 5 else not theirs.any()


def _unambiguous(found: Labels, earlier: Labels) -> bool:
    """Whether only one matching has the highest sum of Jaccard indices."""
    groups, circles = (sorted(set(side.tolist()) - {0}) for side in (found, earlier))
    table = np.array(
        [
            [
                ((found == g) & (earlier == c)).sum() / ((found == g) | (earlier == c)).sum()
                for c in circles
            ]
            for g in groups
        ]
    ).reshape(len(groups), len(circles))
    if table.shape[0] > table.shape[1]:
        table = table.T
    rows, columns = table.shape
    sums = [
        round(float(table[range(rows), chosen].sum()), 9)
        for chosen in itertools.permutations(range(columns), rows)
    ]
    return sums.count(max(sums)) == 1


def test_a_group_below_the_minimum_is_no_circle() -> None:
    rows, _ = planted(2)
    few = pd.DataFrame(
        [(f"f{n}", "corner shop", 2.0) for n in range(6)] + [("alone", "far away", 1.0)],
        columns=["customer_id", "item", "weight"],
    )
    model = small(min_size=10).fit(pd.concat([rows, few]))
    assert model.small_ == 7
    answers = model.predict(few).set_index("customer_id")
    assert (answers["circle"] == 0).all()
    assert answers["strength"].isna().all()


def test_a_customer_not_seen_gets_the_circle_it_shares_most_with(fitted: Circles) -> None:
    home = fitted.labels_of(np.array(["c0000"]))[0]
    rows, _ = planted(1)
    guest = rows[rows["customer_id"] == "c0000"].assign(customer_id="guest")
    stranger = pd.DataFrame({"customer_id": ["far"], "item": ["elsewhere"], "weight": [1.0]})
    answers = fitted.predict(pd.concat([guest, stranger])).set_index("customer_id")
    circle, strength = answers["circle"], answers["strength"]
    assert circle["guest"] == home
    assert 0.5 < strength["guest"] <= 1
    assert circle["far"] == 0
    assert np.isnan(strength["far"])


def test_answers_do_not_depend_on_the_batch(
    market: tuple[pd.DataFrame, dict[str, int]], fitted: Circles
) -> None:
    whole = fitted.predict(market[0])
    halves = [
        fitted.predict(part)
        for _, part in market[0].groupby(market[0]["customer_id"] < "c0070", sort=False)
    ]
    joined = pd.concat(halves).sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(joined, whole)


def test_a_large_population_is_sampled_and_the_rest_is_assigned() -> None:
    rows, truth = planted(3, size=100)
    model = small(max_customers=200).fit(rows)
    assert len(model.customers_) == 200
    answers = model.predict(rows)
    assert len(answers) == 400
    expected = [truth[each] for each in answers["customer_id"]]
    assert adjusted_rand_score(expected, answers["circle"]) >= 0.85


def test_a_sample_keeps_its_customers_when_others_come() -> None:
    customers = np.array([f"c{n:03}" for n in range(300)])
    before = sampled(customers[:250], 100)
    after = sampled(customers, 100)
    assert len(set(before) & set(after)) > 75


def test_equal_customers_do_not_all_link_to_the_first() -> None:
    matrix = sparse.csr_array(np.ones((100, 1)))
    graph = neighbour_graph(matrix, keys([f"c{n}" for n in range(100)]), 5)
    assert np.diff(graph.indptr).max() < 25
    assert (graph != graph.T).nnz == 0


def test_modularity_is_that_of_the_reference() -> None:
    random = np.random.default_rng(4)
    upper = np.triu(random.random((30, 30)) * (random.random((30, 30)) < 0.3), 1)
    labels = random.integers(0, 4, 30)
    edges = [(str(i), str(j), upper[i, j]) for i, j in zip(*np.nonzero(upper), strict=True)]
    named_labels = {str(n): int(labels[n]) for n in range(30)}
    graph = sparse.csr_array(upper + upper.T)
    for resolution in (1.0, 0.5):
        expected = reference_modularity(edges, named_labels, resolution=resolution)
        assert modularity(graph, labels, resolution) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (pd.DataFrame({"customer_id": ["a"], "item": ["x"]}), "no column weight"),
        (pd.DataFrame({"customer_id": [], "item": [], "weight": []}), "no two customers share"),
        (pd.DataFrame({"customer_id": ["a"], "item": [None], "weight": [1.0]}), "has no"),
        (pd.DataFrame({"customer_id": ["a"], "item": ["x"], "weight": [-1.0]}), "negative"),
        (pd.DataFrame({"customer_id": ["a"], "item": ["x"], "weight": [np.inf]}), "endless"),
        (
            pd.DataFrame({"customer_id": ["a", "b"], "item": ["x", "y"], "weight": [1.0, 1.0]}),
            "no two customers share",
        ),
    ],
)
def test_rows_that_make_no_circles_are_refused_in_words(rows: pd.DataFrame, reason: str) -> None:
    with pytest.raises(ModelRefused, match=reason):
        Circles().fit(rows)


def test_a_fit_is_stored_and_read_back_without_running_code(fitted: Circles) -> None:
    import skops.io

    stored = skops.io.dumps(fitted)
    unknown = skops.io.get_untrusted_types(data=stored)
    assert unknown == ["tagline.training.estimators.circles.Circles"]
    again = skops.io.loads(stored, trusted=unknown)
    rows, _ = planted(1)
    pd.testing.assert_frame_equal(again.predict(rows), fitted.predict(rows))
    assert clone(fitted).get_params() == fitted.get_params()


def test_agreement_is_the_adjusted_rand_index() -> None:
    random = np.random.default_rng(0)
    left = random.integers(0, 5, 300)
    right = np.where(random.random(300) < 0.7, left, random.integers(0, 5, 300))
    measured = agreement(left, right)(np.ones((1, 300)))
    assert measured[0] == pytest.approx(adjusted_rand_score(left, right))
    assert agreement(left, left)(np.ones((1, 300)))[0] == 1.0
    twice = np.repeat(np.arange(300), 2)
    doubled = agreement(left, right)(np.full((1, 300), 2.0))
    assert doubled[0] == pytest.approx(adjusted_rand_score(left[twice], right[twice]))


def test_likeness_is_the_difference_of_pairs_counted_one_by_one() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 60)
    values = random.normal(size=(60, 3)) + labels[:, None] * 0.4
    within: list[float] = []
    across: list[float] = []
    for i, j in itertools.combinations(np.flatnonzero(labels), 2):
        distance = float(((values[i] - values[j]) ** 2).sum())
        (within if labels[i] == labels[j] else across).append(distance)
    expected = 1 - np.mean(within) / np.mean(across)
    measured = likeness(labels, values)
    assert measured(np.ones((1, 60)))[0] == pytest.approx(expected)
    assert measured(np.full((1, 60), 3.0))[0] == pytest.approx(expected)


def test_likeness_on_a_tag_that_circles_do_not_share_is_put_down_to_chance() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(1, 6, 400)
    noise = pd.DataFrame({"noise": random.normal(size=400)})
    shared = pd.DataFrame(
        {
            "amount": random.normal(size=400) + 0.5 * labels,
            "region": np.where(random.random(400) < 0.6, labels.astype(str), "0").astype(object),
        }
    )
    assert chance(labels, vectors(noise).values, 199) > 0.05
    assert chance(labels, vectors(shared).values, 199) == pytest.approx(1 / 200)
    assert set(vectors(shared).columns) == {"amount", "region"}


def test_every_tag_has_the_same_weight_in_likeness() -> None:
    random = np.random.default_rng(0)
    many = vectors(
        pd.DataFrame(
            {
                "number": random.lognormal(5, 2, 500),
                "text": random.choice(list("abcdefgh"), 500).astype(object),
                "constant": np.ones(500),
                "nothing": np.full(500, np.nan),
                "gaps": np.where(random.random(500) < 0.5, np.nan, random.random(500)),
            }
        )
    )
    for slug in ("number", "text", "gaps"):
        assert (many.of(slug) ** 2).mean(axis=0).sum() == pytest.approx(1)
    assert set(many.columns) == {"number", "text", "gaps"}


def the_tags() -> tuple[Labels, pd.DataFrame, dict[str, Names]]:
    labels = np.repeat([0, 1, 2, 3], [5, 20, 20, 20])
    stores = ["x"] * 5 + ["7"] * 12 + ["8"] * 8 + ["9"] * 20 + ["6"] * 20
    tags = pd.DataFrame(
        {
            "main_store": pd.Series(stores, dtype=object),
            "fresh_share": [0.2] * 25 + [0.8] * 20 + [0.2] * 20,
            "has_kids": pd.Series(["false"] * 45 + ["true"] * 20, dtype=object),
        }
    )
    names = {
        "main_store": Names(en="Main store", zh="常去门店"),
        "fresh_share": Names(en="Fresh share", zh="生鲜占比"),
        "has_kids": Names(en="Has kids", zh="有孩子"),
    }
    return labels, tags, names


def test_a_circle_is_named_by_what_sets_it_apart_in_both_languages() -> None:
    labels, tags, names = the_tags()
    shown = {circle: name for circle, (name, _) in named(traits(labels, tags, names), {}).items()}
    assert shown[1].en == "main store 7, not has kids"
    assert shown[2] == Names(en="main store 9, high fresh share", zh="常去门店9，生鲜占比高")
    assert shown[3] == Names(en="has kids, main store 6", zh="有孩子，常去门店6")


def test_values_join_until_they_cover_half_of_the_circle() -> None:
    labels, tags, names = the_tags()
    tags.loc[labels == 1, "main_store"] = ["7"] * 8 + ["8"] * 7 + ["5"] * 5
    found = traits(labels, tags[["main_store"]], names)
    assert found[1][0].values == ("7", "8")
    assert found[1][0].inside == pytest.approx(0.75)
    assert found[1][0].name.zh == "常去门店7或8"


def test_a_circle_keeps_its_name_while_what_led_it_holds() -> None:
    labels, tags, names = the_tags()
    first = named(traits(labels, tags, names), {})
    tags["has_kids"] = pd.Series(["true"] * 25 + ["false"] * 40, dtype=object)
    found = traits(labels, tags, names)
    kept = named(found, first)
    assert kept[2] == first[2]
    assert kept[3] != first[3]  # it has kids no longer
    assert named(found, {})[3] == kept[3]


def test_circles_that_nothing_sets_apart_have_their_ids_as_names() -> None:
    labels = np.repeat([4, 9], 10)
    tags = pd.DataFrame({"fresh_share": np.tile([0.1, 0.2], 10)})
    shown = named(traits(labels, tags, {"fresh_share": Names(en="Fresh", zh="生鲜")}), {})
    assert {name.en: name.zh for name, _ in shown.values()} == {
        "Circle 4": "圈子4",
        "Circle 9": "圈子9",
    }
