"""Learners of our own, as scikit-learn estimators whose fitted state is plain values and arrays."""
