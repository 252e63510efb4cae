"""Estimators in scikit-learn's manner that scikit-learn does not have."""
