"""Fitted models: scikit-learn estimators whose state is arrays, plain values and estimators.

They are kept in the skops format, so loading one runs no code of its file.
"""
