"""Every knob: its unit, its default and the reason for it.

What changes stored bytes is marked *format*: other values make old and new
writes stop sharing chunks, so they change with an ADR or not at all.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

GRID: Final = MIB  # format: the fixed step inside a tensor; STORAGE decision 1
# format: an array below this is cut with the bytes around it.  A chunk costs about 90 bytes in
# its entry and 150 in its pack, so thousands of tiny arrays would cost more than they save.
SMALLEST_ARRAY: Final = 4 * KIB
# format: mean size of content-defined chunks for a first file, by its size in bytes.  Below 16 MiB
# 64 KiB share more, but what is not shared is then coded against less: of models made of trees
# they store 1 to 9 % more (docs/adr/0010-one-mean-less.md).
MEANS: Final = ((256 * MIB, 256 * KIB),)
LARGEST_MEAN: Final = MIB
EARLIER_MEANS: Final = (64 * KIB,)  # of files that earlier releases wrote; their versions keep it
LARGEST_CHUNK: Final = 4 * MIB  # bytes; what no chunk exceeds, so a decoder can refuse bombs

INLINE_ENCODED: Final = 256 * KIB  # bytes: a file that codes to no more lives in its entry
INLINE_PLAIN: Final = 2 * MIB  # bytes: no larger file is tried
PACK_TARGET: Final = 32 * MIB  # bytes: 1 TB in 32 MiB packs costs $0.2 of S3 PUTs, as 1 MiB $4.8
MAX_DEPTH: Final = 4  # deltas behind deltas that a reader accepts; writers make depth one
MAX_BASES: Final = 3  # pieces of other chunks that one delta may be coded against
