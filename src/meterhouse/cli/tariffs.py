"""The demo's tariffs. Round figures of our own; real published schemes come with their source."""

from typing import Any, Final

FLAT: Final[dict[str, Any]] = {
    "name": "合表电价 Flat",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {"effective_from": "2020-01-01T00:00:00+08:00", "prices_micro": {"flat": [600_000]}}
    ],
}
HOMES: Final[dict[str, Any]] = {
    "name": "居民阶梯分时 Homes",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {
            "effective_from": "2020-01-01T00:00:00+08:00",
            "bands": ["peak", "valley"],
            "day_tables": {"every_day": {"00:00": "valley", "08:00": "peak", "22:00": "valley"}},
            "blocks": {"period": "month", "limits_milli": [230_000, 400_000]},
            "prices_micro": {
                "peak": [620_000, 670_000, 920_000],
                "valley": [320_000, 370_000, 620_000],
            },
        }
    ],
}
SHOPS: Final[dict[str, Any]] = {
    "name": "商业尖峰平谷 Shops",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {
            "effective_from": "2020-01-01T00:00:00+08:00",
            "bands": ["sharp", "peak", "flat", "valley"],
            "day_tables": {
                "every_day": {
                    "00:00": "valley",
                    "08:30": "peak",
                    "11:30": "flat",
                    "17:30": "sharp",
                    "20:30": "peak",
                    "22:30": "flat",
                    "23:30": "valley",
                }
            },
            "prices_micro": {
                "sharp": [1_150_000],
                "peak": [980_000],
                "flat": [680_000],
                "valley": [360_000],
            },
        }
    ],
}
