"""Every call of MLflow's registry interface, and what it takes.

    READS      changes nothing
    GUARDED    changes something that a policy may protect: see docs/enforcement.md
    FORWARDED  is made of other calls of the same store, each guarded by itself
    ELSEWHERE  is about no registered model

A call that is not here is one that MLflow grew after this release: it is warned of when the
registry opens, and a test fails.

Pure: no I/O.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Guard(Enum):
    """What becomes of a call."""

    READS = "changes nothing"
    GUARDED = "guarded"
    FORWARDED = "made of guarded calls"
    ELSEWHERE = "about no model"


_CALLS: Final = {
    Guard.READS: """
        get_registered_model search_registered_models get_latest_versions get_model_version
        get_model_version_by_alias get_model_version_download_uri search_model_versions
        get_prompt get_prompt_version get_prompt_version_by_alias search_prompts
        search_prompt_versions get_webhook list_webhooks list_webhooks_by_event
        supports_workspaces""",
    Guard.GUARDED: """
        create_registered_model update_registered_model rename_registered_model
        delete_registered_model set_registered_model_tag delete_registered_model_tag
        set_registered_model_alias delete_registered_model_alias create_model_version
        update_model_version delete_model_version transition_model_version_stage
        set_model_version_tag delete_model_version_tag""",
    Guard.FORWARDED: """
        copy_model_version create_prompt delete_prompt set_prompt_tag delete_prompt_tag
        create_prompt_version delete_prompt_version set_prompt_version_tag
        delete_prompt_version_tag set_prompt_alias delete_prompt_alias""",
    Guard.ELSEWHERE: """
        create_webhook update_webhook delete_webhook test_webhook link_prompts_to_trace
        link_prompt_version_to_model link_prompt_version_to_run""",
}

CALLS: Final = {name: guard for guard, names in _CALLS.items() for name in names.split()}


def unknown(store: type) -> list[str]:
    """Return the calls of a *store* of MLflow's that are not guarded as this list has it, sorted.

    Those are public ones that are not in it, and forwarded ones that it makes in a way of its own.
    """
    public = (name for name in dir(store) if name.islower() and not name.startswith("_"))
    return sorted(name for name in public if name not in CALLS or _goes_around(store, name))


def _goes_around(store: type, name: str) -> bool:
    owner = next(one for one in store.__mro__ if name in vars(one))
    return CALLS[name] is Guard.FORWARDED and owner.__name__ != "AbstractStore"
