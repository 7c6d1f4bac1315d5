"""What lock-free collection demands, clause by clause.

Each can be left out of the programs in `testing.collection`; then the model checker finds an
order of requests in which something is lost.
"""

from __future__ import annotations

from enum import Enum


class Clause(Enum):
    """What the protocol demands."""

    # A writer:
    INTENT = "puts an intent"
    INTENT_FIRST = "puts it before it lists what is condemned"
    NOT_CONDEMNED = "reuses nothing that is condemned"
    READ_AFTER = "reuses what entries name that it read after that"
    LOOK = "looks whether a pack is there that it only remembers"
    DURABLE = "uploads packs before it names them"
    OUTCOME_FIRST = "creates its outcome before it names anything"
    OUTCOME_LISTS_ALL = "lists the packs it reuses in its outcome, not only new ones"
    OUTCOME_CREATED = "creates its outcome only if there is none"
    ABORTED_IS_ABORTED = "names nothing when another aborted it"
    STEP_ONE = "starts again at step one"
    INTENT_STAYS = "keeps its intent until all is named"
    RANDOM_NAMES = "never gives a pack a name that another had"
    VERSIONS_ARE_WRITTEN = "is who makes a version, too"
    # A collector:
    PUBLISH = "says what is condemned"
    PUBLISH_FIRST = "says so before it lists intents"
    ABORT = "aborts a transaction that it does not wait for"
    LOSER_LOOKS = "looks at the outcome that was there before its own"
    KEEP = "keeps what a committed transaction may still be naming"
    MARK_AGAIN = "marks again before it deletes"
    MARK_LAST = "marks when all transactions that it saw are settled"
    MARK_VERSIONS = "marks versions, too"
    SWEEP_CREATED = "deletes only if nobody cancelled its sweep"
    RETRACT_LAST = "retracts only when everything is deleted"
    PACK_BY_PACK = "judges a pack by what names it, not by copies of what it holds"
    ERRORS_STOP = "deletes nothing when it could not read all"
    # Whoever tidies up behind others:
    CANCEL_FIRST = "retracts for another only when its sweep is cancelled"
    FINISH = "retracts for another only when its won sweep is finished"
    OUTCOME_STAYS = "removes an outcome only when its intent was seen absent"
    TOMBSTONE = "leaves an aborted outcome to its writer"
    # A reader:
    READ_AGAIN = "reads the entry again before it calls a missing pack damage"
