"""Alembic's folder: numbered steps from an empty schema to today's."""
