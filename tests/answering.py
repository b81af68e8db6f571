"""A platform that is a list of answers, for the SDK to talk with.

Owns nothing but that: no contract, no clock; what is waited is written down.
"""

import httpx

import fresh_sdk  # noqa: F401  # before anything imports the SDK
from meterhouse_sdk import Client

KEY = "mh_secret-key-of-erp"


class Platform(httpx.MockTransport):
    """Answers what it was told to, in order; keeps what it was asked and how long was waited.

    An exception among the answers stands for a line that broke.
    """

    def __init__(self, *answers):
        super().__init__(self.answer)
        self.answers = list(answers)
        self.asked = []
        self.waited_s = []

    def answer(self, request):
        self.asked.append(request)
        found = self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def client(self, dice=lambda: 1.0, **choices):
        return Client(
            "http://desk", KEY, transport=self, sleep=self.waited_s.append, dice=dice, **choices
        )


def problem(status, code, **facts):
    """An answer that refuses."""
    headers = {"Content-Type": "application/problem+json", **facts.pop("headers", {})}
    told = {"code": code, "status": status, "detail": "As it is.", **facts}
    return httpx.Response(status, json=told, headers=headers)
