"""What stands on paper, before anything is printed: amounts in capitals, sheets, ticket bytes.

Owns the content of a receipt and of a statement as values, and the bytes of ticket printers. Must
never know a database, a font or a page description; `press` sets the same values as PDF.
"""
