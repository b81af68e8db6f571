"""Paper as PDF: the templates, the compiler that sets them, and the fonts it finds.

Owns `typst` and whatever touches the machine's fonts. Must never know a database or what the words
say: it takes values of `paper` and answers bytes. Texts travel as data and never as source, so
that no name can become markup.
"""
