"""The SDK as this very contract makes it: importing this brings its generated files up to date.

Owns nothing but that. What tests import next, `meterhouse_sdk`, cannot be older than the API.
"""

import generate
from meterhouse.web.app import contract_alone

generate.write(contract_alone())
