"""Alembic's environment: migrations run on the connection that `upgrade` hands over."""

from __future__ import annotations

from alembic import context

from tagline.registry.schema import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
