# One image for every part of Tagline and Airflow; docker-compose.yml says what each one runs.
FROM python:3.11.14-slim-bookworm

RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/airflow --shell /usr/sbin/nologin tagline \
 && mkdir -p /var/lib/airflow /var/lib/tagline/home /var/lib/tagline/lake /var/lib/tagline/logs \
 && chown -R tagline:tagline /var/lib/airflow /var/lib/tagline

WORKDIR /opt/tagline
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# The locked packages first: a changed tag or DAG does not install them again.
COPY pyproject.toml requirements.txt ./
RUN mkdir -p include/tagline && touch include/tagline/__init__.py \
 && pip install --constraint requirements.txt --editable .

COPY include include
COPY plugins plugins
COPY dags dags
RUN python -m compileall -q include plugins dags

USER tagline
CMD ["tagline", "--help"]
