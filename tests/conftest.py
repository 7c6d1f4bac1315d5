"""How hard Hypothesis tries, and no cache but where a test asks for one.

Hypothesis tries enough for every commit, more with ``--hypothesis-profile=thorough``.  No
deadlines: a busy machine is no bug.  With a cache a test might read what the store never gave.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile("commit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("commit"), max_examples=2000)
settings.load_profile("commit")

os.environ["MLFLOW_VAULT_CACHE_LIMIT"] = "0"
