"""The portal 门户: tags, customers and releases as pages inside the Airflow web UI."""
