"""Since when a point's present payer pays for what is used, and whose purse was drawn before."""

from alembic import op

revision = "0012"
down_revision = "0011"

# An interval is of whoever paid when it began. Only the last change can lie within what is not read
# yet; of earlier ones the charges themselves say whose they are.
PAYER = (
    """alter table point
        add column payer_at timestamptz not null default '1970-01-01 00:00:00+00',
        add column former_account_id bigint,
        add foreign key (project_id, former_account_id) references account (project_id, id)""",
)
# As the maintenance role, because the owner is bound by the policies too.
KNOWN = """update point p set payer_at = a.valid_from from agreement_point a
    where (a.project_id, a.point_id) = (p.project_id, p.id) and a.valid_to is null"""


def upgrade() -> None:
    """Add the columns; since when each point has its payer is known, who was before is not."""
    for statement in PAYER:
        op.execute(statement)
    op.execute("set local role meterhouse_maintenance")
    op.execute(KNOWN)
    op.execute("set local role meterhouse_owner")
