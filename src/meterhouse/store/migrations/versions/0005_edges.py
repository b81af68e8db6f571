"""Roles that need an authenticator: a house's own by themselves, ready ones by rule."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    "alter table role add column needs_code boolean not null default false",
    # Group 0 stands for the platform: its rule holds wherever the role is granted.
    """create table code_rule (
        group_id bigint not null,
        role text not null check (role ~ '^[a-z][a-z0-9_]{1,40}$'),
        primary key (group_id, role))""",
    "create index code_rule_role on code_rule (role)",
    "grant all on code_rule to meterhouse_maintenance",
    "grant select, insert, delete on code_rule to meterhouse_app",
)


def upgrade() -> None:
    """Add the column and the table; nobody needs an authenticator yet."""
    for statement in STATEMENTS:
        op.execute(statement)
