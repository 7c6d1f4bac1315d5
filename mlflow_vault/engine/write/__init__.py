"""From files to entries: cutting, coding, packing, and the order in which things are named."""
