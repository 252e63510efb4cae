"""Tagline in Airflow: operators that call the core, their reports as tables, links."""
