"""The forms that a lineage is given out in.

Names in a lineage are whatever a run called itself: every form escapes them in its own way.
"""
