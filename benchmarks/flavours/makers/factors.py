"""A recommender as people write it by hand: two matrices, trained by gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from version import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

USERS: Final = 8_000
ITEMS: Final = 4_000
WIDTH: Final = 64
RATINGS: Final = 200_000
BATCH: Final = 2_000
EPOCHS: Final = 2  # of each version; the first has more
FIRST_EPOCHS: Final = 10
_RATE: Final = 0.05
ASKED: Final = np.column_stack([np.arange(200), np.arange(200) * 7 % ITEMS])


@dataclass(slots=True)
class Factors:
    """A vector for each user and each item; what one thinks of the other is their product."""

    users: npt.NDArray[np.float32]
    items: npt.NDArray[np.float32]

    def predict(self, pairs: Any) -> Any:
        """Rate *pairs* of user and item."""
        user, item = np.asarray(pairs).T
        return np.sum(self.users[user] * self.items[item], axis=1)


def trained() -> Iterator[Factors]:
    """Yield the recommender after each stretch of training; it is one object."""
    random = np.random.default_rng(0)
    user = random.integers(0, USERS, RATINGS)
    item = (ITEMS * random.power(0.5, RATINGS)).astype(np.int64)  # some are asked for more often
    taste = random.normal(size=(USERS, 4)) @ random.normal(size=(4, ITEMS))
    rating = taste[user, item].astype(np.float32)
    factors = Factors(
        random.normal(0, 0.1, (USERS, WIDTH)).astype(np.float32),
        random.normal(0, 0.1, (ITEMS, WIDTH)).astype(np.float32),
    )
    for version in range(VERSIONS):
        for _ in range(EPOCHS if version else FIRST_EPOCHS):
            for batch in np.array_split(random.permutation(RATINGS), RATINGS // BATCH):
                u, i = factors.users[user[batch]], factors.items[item[batch]]
                wrong = (np.sum(u * i, axis=1) - rating[batch])[:, None]
                np.add.at(factors.users, user[batch], -_RATE * wrong * i)
                np.add.at(factors.items, item[batch], -_RATE * wrong * u)
        yield factors
