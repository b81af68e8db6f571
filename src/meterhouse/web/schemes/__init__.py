"""Schemes as people see and type them: fields, steps of the editor, pictures, words."""
