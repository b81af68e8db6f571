"""The web: the console staff look at and the API other software speaks, over the same flows.

Owns pages, words, formats, problems and the contract of `/api/v1`. Must never know SQL, bytes of
a meter or a rule of money: every route names its verb, calls one flow, and shows what came back.
"""
