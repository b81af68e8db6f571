"""Alembic's entry: runs the steps on the connection that `store.migrate` hands in."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    version_table_schema="meterhouse",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
