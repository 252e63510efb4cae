"""What each key of a model file means, in one sentence, for editors and the reference."""

from __future__ import annotations

from collections.abc import Mapping

OF_EVERY_MODEL: Mapping[str, str] = {
    "task": "What kind of model it is.",
    "subject": "What it tells of: customers, machines or opportunities.",
    "population": "Whom the model is about: a condition over tags at the panel's instant.",
    "label": "What came of each customer: sql/labels/<label>.sql.",
    "horizon": "How far after the instant the label looks.",
    "features": "The tags that it predicts from.",
    "rule": "The plain rule that it must beat.",
    "candidates": "The learners that are tried; a logistic regression always is.",
    "slices": "Text or boolean tags, for each value of which the model must not be much worse.",
    "drift": "How far its inputs may lie from its training when it scores.",
    "panels": "The past instants that training looks at.",
    "gate": "What it must reach on the holdout to be promoted.",
}
"""Of model files, whatever their kind."""

OF_MODEL_SHAPE: Mapping[str, Mapping[str, str]] = {
    "MulticlassModel": {
        "classes": "The classes, by name.",
        "label": "Which class each customer was: sql/labels/<label>.sql, with horizon and panels.",
        "label_set": "The label set whose answers it learns from: labels/<label_set>.yaml.",
        "slices": "Tags for each of whose values the model must be good.",
        "known_in_part": "Features that may tell one of the classes by themselves, as where its "
        "definition says so.",
    },
    "ClassRule": {
        "tag": "The tag that tells the class.",
        "means": "The class that each of its values means; any other value is always wrong.",
    },
    "ClassGate": {
        "min_macro_f1": "The least mean of the F1 of the classes.",
        "min_gain_over_rule": "The least gain in macro F1 over the rule, at the lower end.",
        "min_gain_over_majority": "The least gain in macro F1 over saying the most frequent class, "
        "at the interval's lower end.",
        "max_calibration_error": "The greatest calibration error of the likeliest class.",
        "max_single_feature_auc": "Above this area, a single feature gives the label away.",
        "max_feature_psi": "The greatest PSI of a feature on the holdout against training.",
        "max_slice_gap": "How far the accuracy of a slice may surely lie below that of all.",
        "min_slice_rows": "The least rows of a slice that is judged.",
        "min_rows_of_class": "The least training rows of each class.",
        "min_holdout_rows": "The least rows of the holdout.",
    },
    "BinaryModel": {
        "threshold": "The probability from which the class is true.",
    },
    "CampaignUpliftModel": {
        "trials": "The days on which the treatment was given at random, at whose midnight the "
        "features are read.",
        "candidates": "The ways to learn the uplift that are tried.",
        "threshold": "The uplift from which is_persuadable is true.",
    },
    "UpliftGate": {
        "min_qini_area": "The Qini area that the interval's lower end must lie above.",
        "max_treatment_auc": "The greatest ROC AUC with which features may tell who was treated.",
        "max_single_feature_auc": "Above this area, a single feature gives the response away.",
        "min_responses": "The least number of each arm's responses, and of those without.",
    },
    "Panels": {
        "count": "How many instants; the newest is the holdout.",
        "every": "How far they lie apart.",
    },
    "HoldoutPanels": {
        "count": "How many instants.",
        "every": "How far they lie apart.",
        "holdouts": "How many of the newest are the holdout, judged together.",
    },
    "PlainRule": {
        "tag": "The tag that is read as a score.",
        "high_means": "Whether a high value speaks for the label or against it.",
        "is_probability": "Whether it is a probability of the label: then the model must surely "
        "have the better Brier score, too.",
    },
    "ModelGate": {
        "min_roc_auc": "The least area under the ROC curve.",
        "min_gain_over_rule": "The least gain over the plain rule, at the interval's lower end.",
        "max_calibration_error": "The greatest calibration error.",
        "max_single_feature_auc": "Above this area, a single feature gives the label away.",
        "max_feature_psi": "The greatest PSI of a feature between training rows and holdout.",
        "max_slice_gap": "How far the area may surely lie below that of all, for one slice.",
        "min_slice_rows": "Customers below which a slice is not judged.",
        "min_positives": "The least number of customers with the label.",
    },
    "InterestsModel": {
        "input": "What was bought before the instant: sql/inputs/<input>.sql, with customer_id, "
        "item, weight (how often) and days_ago.",
        "label": "What was bought in the horizon: sql/labels/<label>.sql, with customer_id and "
        "item.",
        "horizon": "How far ahead an interest is told to be bought again.",
        "top": "How many interests a customer has at most.",
        "max_customers": "It is learned from a sample of so many customers if there are more.",
    },
    "InterestsGate": {
        "min_hit_share": "The least share of the interests of the customers who returned that "
        "they bought again in the horizon.",
        "min_gain_over_popular": "The least gain over as many of the most popular items, at the "
        "interval's lower end.",
        "max_calibration_error": "The greatest mean gap between the chance of an interest and how "
        "often it was bought again.",
        "min_customers": "The least number of customers who returned, in training and holdout.",
    },
    "SimilarCustomersModel": {
        "attribute": "The tag that is inferred for those who have no value of it: a text or a "
        "boolean.",
        "features": "The tags that customers are compared by.",
        "input": "What they are also compared by: sql/inputs/<input>.sql, with customer_id, item, "
        "weight and days_ago.",
        "least_item_share": "The share of the customers who must have bought an item for it to "
        "count where customers are compared.",
        "min_confidence": "The confidence below which it abstains in any case.",
        "max_customers": "It is learned from a sample of so many customers if more told it.",
    },
    "SimilarCustomersGate": {
        "min_gain_over_mode": "The least gain over always saying the commonest value, at the "
        "interval's lower end, where it answers.",
        "min_answered": "The least share of customers to whom it gives an answer.",
        "max_overconfidence": "How far its confidence may lie above its accuracy.",
        "min_known": "The least number of customers who told the attribute.",
        "max_single_feature_auc": "Above this area, a single feature gives the attribute away.",
    },
    "DriftLimits": {
        "warn": "The PSI of an input above which the gate warns of the model's tags.",
        "withhold": "The PSI of an input above which the gate withholds them.",
    },
    "CirclesModel": {
        "input": "What links customers: sql/inputs/<input>.sql, with customer_id, item and weight.",
        "named_by": "The tags whose values name the circles.",
        "judged_by": "Tags that did not make the circles, on which members must be more alike.",
        "weeks": "How many consecutive weeks are compared; the newest is the training's as_of.",
        "seeds": "How many seeds are compared.",
        "graph": "How customers are linked, and what counts as a circle.",
    },
    "CirclesGraph": {
        "neighbours": "To how many of the most similar customers each one is linked.",
        "resolution": "A higher one gives more and smaller circles.",
        "min_size": "A smaller group is no circle.",
        "max_item_share": "An item that a greater share of customers has links nobody.",
        "max_customers": "Circles of a larger population are found in a sample of so many.",
    },
    "CirclesGate": {
        "min_circles": "The least number of circles.",
        "max_share": "The greatest share of customers in one circle.",
        "min_modularity": "The least modularity of the partition.",
        "min_weekly_agreement": "The least adjusted Rand index between consecutive weeks.",
        "min_seed_agreement": "The least adjusted Rand index between two seeds.",
        "max_chance": "The greatest probability that circles drawn by lot are as alike.",
        "max_told_by_tag": "Above this share, a single tag of judged_by tells the circle.",
    },
    "PurchaseProcessModel": {
        "population": "Whose purchases it is about: a condition over tags.",
        "label": "Purchase days and their amount in the horizon: sql/labels/<label>.sql.",
        "history": "The tags that hold what a customer has bought so far.",
        "recent": "A second plain rule, measured beside the model and not judged.",
        "features": "Left out: they are the tags under history.",
    },
    "PurchaseHistory": {
        "frequency": "The tag of purchase days after the first.",
        "recency": "The tag of days from the first purchase to the last.",
        "age": "The tag of days from the first purchase until now.",
        "mean_value": "The tag of the mean amount of a purchase day; without it, no amounts.",
    },
    "RecentRule": {
        "tag": "The tag of purchase days in a window.",
        "window": "How long that window is.",
    },
    "PurchaseGate": {
        "min_repeaters": "The least number of customers who bought again.",
        "min_gain": "The least gain in mean absolute error over the rule that the past rate "
        "goes on, at the interval's lower end.",
        "min_correlation": "The least correlation of expected with actual purchases.",
        "max_total_error": "The greatest share by which all purchases may be missed.",
        "max_value_error": "The greatest share by which the whole amount may be missed.",
        "max_value_correlation": "Above this correlation, frequency and mean amount are not the "
        "independent things that the model takes them for.",
    },
}
