"""Judged models are promoted, withdrawn and restored; each step says who and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the status, which every accepted model has been given by its training, and the steps."""
    op.add_column(
        "model_versions",
        sa.Column("status", sa.Text(), nullable=False, server_default="judged"),
    )
    op.execute("update model_versions set status = 'promoted' where verdict = 'accepted'")
    op.alter_column("model_versions", "status", server_default=None)
    op.create_table(
        "model_events",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("model_version_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["model_version_id"], ["model_versions.id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    """Forget the steps; what is not promoted counts as refused, so that it does not serve."""
    op.execute("update model_versions set verdict = 'refused' where status <> 'promoted'")
    op.drop_table("model_events")
    op.drop_column("model_versions", "status")
