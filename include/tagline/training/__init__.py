"""Trains, judges and applies models; the only importer of scikit-learn, MLflow and matplotlib.

`inputs` gathers features and labels as `panels` of past instants, `fit` makes the pipeline,
`evaluate` and `verdict` judge it on the holdout, `plots` draws it, `tracking` keeps it in MLflow;
`train` and `score` are what the command line and the scheduler call. This file imports none, so
that a reader who only looks up champions pays nothing.
"""
