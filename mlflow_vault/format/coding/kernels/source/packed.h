/* Loops that pack planes to one number of bits.  Included once for each:
 *
 *     BITS        1, 2 or 4
 *     PART        an unsigned integer of as many bytes: a word, packed
 *     OF(name)    what a function is called for it
 */

typedef PART ANYWHERE OF(packed);
#define PACKED OF(packed) /* one in memory */

FAST static void OF(fold)(const anywhere *restrict words, size_t count, PACKED *restrict packed) {
    for (size_t index = 0; index < count; index++)
        packed[index] = (PART)folded(capped(words[index], BITS), BITS);
}

FAST static void OF(unfold)(const PACKED *restrict packed, size_t count, anywhere *restrict words) {
    for (size_t index = 0; index < count; index++)
        words[index] = unfolded(packed[index], BITS);
}

/* Return how many bytes go beyond the cap; *beyond* has room for all. */
static size_t OF(pack)(const uint8_t *plane, size_t count, uint8_t *packed, uint8_t *beyond) {
    size_t found = 0, words = count / WORD, size = packed_size(count, BITS);
    uint64_t last = 0;
    OF(fold)((const anywhere *)plane, words, (PACKED *)packed);
    memcpy(&last, plane + words * WORD, count % WORD);
    last = folded(capped(last, BITS), BITS);
    memcpy(packed + words * BITS, &last, size - words * BITS);
    for (size_t start = 0; start < size; start += WORD) {
        uint64_t caps = next_caps(packed + start, size - start, BITS);
        for (; caps; caps &= caps - 1)
            beyond[found++] = (uint8_t)(plane[(start * 8 + lowest(caps)) / BITS] - cap_of(BITS));
    }
    return found;
}

/* Count the caps among *count* packed bytes. */
static size_t OF(caps)(const uint8_t *packed, size_t count) {
    size_t found = 0, whole = count * BITS / 8;
    for (size_t start = 0; start < whole; start += WORD)
        found += ones(next_caps(packed + start, whole - start, BITS));
    for (size_t index = whole * 8 / BITS; index < count; index++)
        found += (packed[whole] >> index * BITS % 8 & cap_of(BITS)) == cap_of(BITS);
    return found;
}

/* Return whether *beyond* had as many bytes as there are caps. */
static int OF(unpack)(const uint8_t *packed, const uint8_t *beyond, size_t beyonds, uint8_t *plane,
                      size_t count) {
    size_t used = 0, words = count / WORD, size = packed_size(count, BITS);
    uint64_t last = 0;
    OF(unfold)((const PACKED *)packed, words, (anywhere *)plane);
    memcpy(&last, packed + words * BITS, size - words * BITS);
    last = unfolded(last, BITS);
    memcpy(plane + words * WORD, &last, count % WORD);
    for (size_t start = 0; start < size; start += WORD) {
        uint64_t caps = next_caps(packed + start, size - start, BITS);
        for (; caps; caps &= caps - 1) {
            size_t place = (start * 8 + lowest(caps)) / BITS;
            if (place >= count) /* a bit that fills up the last byte */
                break;
            if (used == beyonds)
                return 0;
            plane[place] = (uint8_t)(plane[place] + beyond[used++]);
        }
    }
    return used == beyonds;
}

#undef PACKED
