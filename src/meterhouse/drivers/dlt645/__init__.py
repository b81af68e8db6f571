"""The driver of DL/T 645, both editions: the dialect and the meter model say what differs.

`talk` sends and listens, `collect` turns items into values, `driver` carries out intents.
"""

from meterhouse.drivers.dlt645.driver import Dlt645Driver

__all__ = ["Dlt645Driver"]
