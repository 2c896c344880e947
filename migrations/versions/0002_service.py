"""Clients and tokens, quotas, repeatable requests, batches, reports, expiry and erasure."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables and columns."""
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_index(
        "ix_batches_owner_created_at_id", "batches", ["owner", "created_at", "id"], unique=False
    )
    op.create_table(
        "clients",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column(
            "scopes", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_clients"),
    )
    op.create_table(
        "deletions",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_deletions"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("resource", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_idempotency_keys"),
    )
    op.create_index(
        "ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False
    )
    op.create_index("ix_idempotency_keys_resource", "idempotency_keys", ["resource"], unique=False)
    op.create_table(
        "revoked_tokens",
        sa.Column("jti", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("jti", name="pk_revoked_tokens"),
    )
    op.create_table(
        "usage",
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("audio_seconds", sa.Double(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("owner", "day", name="pk_usage"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="pending", nullable=False),
        sa.Column(
            "attempts",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'failed')", name="ck_deliveries_state"
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_deliveries_job_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("job_id", name="uq_deliveries_job_id"),
    )
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.add_column("jobs", sa.Column("batch_id", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("batch_index", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("callback_url", sa.String(), nullable=True))
    op.add_column(
        "jobs",
        sa.Column("callback_result", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("jobs", sa.Column("audio_seconds", sa.Double(), nullable=True))
    op.add_column("jobs", sa.Column("request_id", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("trace", sa.String(), nullable=True))
    op.add_column(
        "jobs", sa.Column("expired", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("jobs", sa.Column("rewinds", sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "jobs", sa.Column("erasing", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.create_index(
        "ix_jobs_batch_id_batch_index",
        "jobs",
        ["batch_id", "batch_index"],
        unique=False,
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_erasing", "jobs", ["id"], unique=False, postgresql_where=sa.text("erasing")
    )
    op.create_foreign_key(
        "fk_jobs_batch_id", "jobs", "batches", ["batch_id"], ["id"], ondelete="SET NULL"
    )
    op.add_column(
        "steps",
        sa.Column(
            "blobs", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
    )
    op.add_column(
        "steps", sa.Column("store_failures", sa.Integer(), server_default="0", nullable=False)
    )
    op.create_index("ix_steps_finished_at", "steps", ["finished_at"], unique=False)
    op.create_index(
        "ix_steps_unsent",
        "steps",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'ready' AND published_at IS NULL"),
    )
    op.create_index("ix_steps_blobs", "steps", ["blobs"], unique=False, postgresql_using="gin")


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_steps_finished_at", table_name="steps")
    op.drop_index("ix_steps_unsent", table_name="steps")
    op.drop_index("ix_steps_blobs", table_name="steps", postgresql_using="gin")
    op.drop_column("steps", "store_failures")
    op.drop_column("steps", "blobs")
    op.drop_constraint("fk_jobs_batch_id", "jobs", type_="foreignkey")
    op.drop_index("ix_jobs_erasing", table_name="jobs", postgresql_where=sa.text("erasing"))
    op.drop_index(
        "ix_jobs_batch_id_batch_index",
        table_name="jobs",
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )
    op.drop_column("jobs", "erasing")
    op.drop_column("jobs", "rewinds")
    op.drop_column("jobs", "expired")
    op.drop_column("jobs", "trace")
    op.drop_column("jobs", "request_id")
    op.drop_column("jobs", "audio_seconds")
    op.drop_column("jobs", "callback_result")
    op.drop_column("jobs", "callback_url")
    op.drop_column("jobs", "batch_index")
    op.drop_column("jobs", "batch_id")
    op.drop_index(
        "ix_deliveries_due", table_name="deliveries", postgresql_where=sa.text("state = 'pending'")
    )
    op.drop_table("deliveries")
    op.drop_table("usage")
    op.drop_table("revoked_tokens")
    op.drop_index("ix_idempotency_keys_resource", table_name="idempotency_keys")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_table("deletions")
    op.drop_table("clients")
    op.drop_index("ix_batches_owner_created_at_id", table_name="batches")
    op.drop_table("batches")
