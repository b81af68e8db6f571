"""A canary: texts that name somebody, and wherever in a database they are written down."""

from collections.abc import Sequence

import asyncpg

from meterhouse.store.db import Database

_COLUMNS = """select c.table_name, c.column_name, c.data_type from information_schema.columns c
    join information_schema.tables t using (table_schema, table_name)
    where c.table_schema = 'meterhouse' and t.table_type = 'BASE TABLE'
    and c.data_type in ('text', 'jsonb', 'ARRAY', 'bytea') and c.table_name <> 'personal'"""


async def columns_that_name(db: Database, texts: Sequence[str]) -> list[tuple[str, str]]:
    """(table, column) of every text, JSON or file but `personal` in which one of the texts stands.

    The whole database is looked through, past every policy.
    """
    connection = await asyncpg.connect(**db.address.arguments(None))
    try:
        columns = await connection.fetch(_COLUMNS)
        assert len(columns) > 50
        found = []
        for table, column, kind in columns:
            # A file's bytes are looked through as they lie there, two letters a byte.
            is_file = kind == "bytea"
            said = f"encode(\"{column}\", 'hex')" if is_file else f'"{column}"::text'
            wanted = [text.encode().hex() for text in texts] if is_file else list(texts)
            asked = f"select from {table} where {said} ~ any($1) limit 1"
            if await connection.fetch(asked, wanted):
                found.append((table, column))
        return found
    finally:
        await connection.close()
