"""Settings of a deployment, from the environment (`TAGLINE_*`)."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from tagline.errors import WrongUsage

PROJECT = Path(__file__).resolve().parents[2]


class Settings(BaseSettings):
    """What a deployment serves, where its state lies, and how much of the machine it may use."""

    model_config = SettingsConfigDict(env_prefix="TAGLINE_", extra="forbid", frozen=True)

    business: str = Field("grocer", description="The one business that this deployment serves.")
    definitions: Path = Field(
        PROJECT / "include", description="Folder of businesses, tables, sources, sql, tags, models."
    )
    home: Path | None = Field(
        None, description="Folder of all state; default .tagline/<business> in the project."
    )
    database_url: str | None = Field(
        None,
        description="A PostgreSQL server, postgresql://user:password@host/; embedded when empty.",
    )
    lake_url: str | None = Field(
        None, description="Folder of the lake, or s3://bucket/prefix; default <home>/lake."
    )
    mlflow_url: str | None = Field(
        None, description="MLflow tracking server; default the MLflow database itself."
    )
    engine: str = Field(
        "duckdb",
        description="What computes tags: duckdb, spark://host:port, or local[*] (Spark here).",
    )
    memory_limit: str = Field("4GB", description="Memory that one engine connection may use.")
    threads: int = Field(2, ge=1, description="Threads of one engine connection.")
    customer_buckets: int = Field(1, ge=1, description="Buckets that clean tables are split into.")
    hash_salt: str = Field("tagline", description="Secret salt of hashed direct personal data.")
    review: Literal["automatic", "required"] = Field(
        "automatic", description="automatic walks new definitions straight to live."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Form of the command line's logs: lines of text, or JSON objects."
    )

    @model_validator(mode="after")
    def _no_misspelt_variable(self) -> Self:
        """Refuse TAGLINE_* variables that are almost a setting; others may be a source's own."""
        known = {f"TAGLINE_{name}".upper() for name in type(self).model_fields}
        for name in os.environ:
            if name.startswith("TAGLINE_") and name not in known:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.88)
                if close:
                    raise WrongUsage(f"{name} is not a setting. Did you mean {close[0]}?")
        return self

    @property
    def home_path(self) -> Path:
        """The absolute folder of all state of this business."""
        return (self.home or PROJECT / ".tagline" / self.business).absolute()


def log_format() -> str:
    """What TAGLINE_LOG_FORMAT says, also while the other settings are not known to be good."""
    return os.environ.get("TAGLINE_LOG_FORMAT", "text")
