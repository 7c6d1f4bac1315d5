"""How one chunk is stored: codecs, byte planes, and the arithmetic of floats under them."""
