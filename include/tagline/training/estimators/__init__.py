"""Estimators in scikit-learn's sense: pure, fitted state in plain values and arrays.

They go to MLflow as they are and are read back without running code of the file, so they import
nothing of a deployment: no catalog, no registry, no engine.
"""
