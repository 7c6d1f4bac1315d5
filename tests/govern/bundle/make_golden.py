"""Makes the golden bundle anew; run by hand, when its format was changed on purpose."""

from __future__ import annotations

import json
from pathlib import Path

from promoted import keys, log_signer, promoted, trust


def main() -> None:
    """Write a bundle, and the public keys that it is verified with."""
    folder = Path(__file__).parents[2] / "golden" / "bundles"
    (folder / "promotion-1.bundle.json").write_bytes(promoted().bundle().to_bytes())
    known = {
        "log": str(log_signer().public),
        "models": trust().keys[0].decode(),
        "approvers": keys(),
    }
    (folder / "keys.json").write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    main()
