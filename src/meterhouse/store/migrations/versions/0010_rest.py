"""What households owed, and deposits they had paid, before these books began."""

from alembic import op

revision = "0010"
down_revision = "0009"

KINDS = (
    "alter table payment drop constraint payment_kind_check",
    """alter table payment add constraint payment_kind_check check (kind in ('recharge', 'refund',
        'reversal', 'move', 'deposit', 'deposit_refund', 'fee', 'opening', 'opening_debt',
        'opening_deposit', 'settlement'))""",
)


def upgrade() -> None:
    for statement in KINDS:
        op.execute(statement)
