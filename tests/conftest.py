"""How hard Hypothesis tries: enough for every commit, more with ``--hypothesis-profile=thorough``.

No deadlines: a busy machine is no bug.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("commit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("commit"), max_examples=2000)
settings.load_profile("commit")
