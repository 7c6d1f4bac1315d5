/* Loops over numbers of one width.  Included once for each:
 *
 *     T           the unsigned integer
 *     OF(name)    what a function is called for it
 *
 * Numbers are worked on in blocks that stay in the first-level cache, so that each pass but the
 * first and the last costs no memory traffic.  See floats.py for what the arithmetic means.
 */

typedef T ANYWHERE OF(number);
#define NUMBER OF(number) /* one in memory */

enum { OF(last_bit) = 8 * sizeof(T) - 1 };

static INLINE T OF(ordered)(T bits) {
    return (T)(bits ^ ((T)(0 - (T)(bits >> OF(last_bit))) | (T)((T)1 << OF(last_bit))));
}

static INLINE T OF(unordered)(T value) {
    return (T)(value ^ ((T)((T)(value >> OF(last_bit)) - 1) | (T)((T)1 << OF(last_bit))));
}

static INLINE T OF(step)(T value, T parent, int floats) {
    T step = floats ? (T)(OF(ordered)(value) - OF(ordered)(parent)) : (T)(value - parent);
    return (T)((T)(step << 1) ^ (T)(0 - (T)(step >> OF(last_bit))));
}

static INLINE T OF(moved)(T zigzag, T parent, int floats) {
    T step = (T)((T)(zigzag >> 1) ^ (T)(0 - (T)(zigzag & 1)));
    return floats ? OF(unordered)((T)(step + OF(ordered)(parent))) : (T)(step + parent);
}

static INLINE uint16_t OF(key)(T parent, const Bands *bands) {
    uint16_t exponent = (uint16_t)((parent >> bands->mantissa) & bands->mask);
    exponent = exponent < bands->low ? bands->low : exponent;
    return (uint16_t)((exponent > bands->high ? bands->high : exponent) - bands->low);
}

/* Planes lie *apart* bytes from each other. */
static INLINE void OF(cut)(const NUMBER *restrict values, size_t count, uint8_t *planes,
                           size_t apart) {
    for (size_t place = 0; place < sizeof(T); place++) {
        uint8_t *restrict plane = planes + place * apart;
        for (size_t index = 0; index < count; index++)
            plane[index] = (uint8_t)(values[index] >> 8 * place);
    }
}

static INLINE void OF(put_together)(const uint8_t *restrict planes, size_t apart, size_t count,
                                    NUMBER *restrict values) {
    for (size_t index = 0; index < count; index++) {
        T value = 0;
        for (size_t place = 0; place < sizeof(T); place++)
            value |= (T)((T)planes[place * apart + index] << 8 * place);
        values[index] = value;
    }
}

FAST static void OF(split)(const NUMBER *values, size_t count, uint8_t *planes, int rotated) {
    T block[BLOCK];
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t many = least(BLOCK, count - start);
        for (size_t index = 0; index < many; index++) {
            T value = values[start + index];
            block[index] = rotated ? (T)((T)(value << 1) | (T)(value >> OF(last_bit))) : value;
        }
        OF(cut)(block, many, planes + start, count);
    }
}

FAST static void OF(join)(const uint8_t *planes, size_t count, NUMBER *values, int rotated) {
    T block[BLOCK];
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t many = least(BLOCK, count - start);
        OF(put_together)(planes + start, count, many, block);
        for (size_t index = 0; index < many; index++) {
            T value = block[index];
            values[start + index] =
                rotated ? (T)((T)(value >> 1) | (T)(value << OF(last_bit))) : value;
        }
    }
}

FAST static void OF(subtract)(const NUMBER *values, const NUMBER *base, size_t count,
                              uint8_t *planes, int floats) {
    T steps[BLOCK];
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t many = least(BLOCK, count - start);
        for (size_t index = 0; index < many; index++)
            steps[index] = OF(step)(values[start + index], base[start + index], floats);
        OF(cut)(steps, many, planes + start, count);
    }
}

FAST static void OF(add)(const uint8_t *planes, const NUMBER *base, size_t count, NUMBER *values,
                         int floats) {
    T steps[BLOCK];
    for (size_t start = 0; start < count; start += BLOCK) {
        size_t many = least(BLOCK, count - start);
        OF(put_together)(planes + start, count, many, steps);
        for (size_t index = 0; index < many; index++)
            values[start + index] = OF(moved)(steps[index], base[start + index], floats);
    }
}

/* Say for each band (row) and stream (column) where its first number goes. */
FAST static void OF(place)(const NUMBER *base, size_t count, const Bands *bands, uint32_t *places) {
    uint16_t keys[STREAMS][BLOCK];
    size_t part = count / STREAMS, rows = (size_t)(bands->high - bands->low) + 1;
    memset(places, 0, rows * STREAMS * sizeof *places);
    for (size_t start = 0; start < part; start += BLOCK) {
        size_t many = least(BLOCK, part - start);
        for (size_t stream = 0; stream < STREAMS; stream++)
            for (size_t index = 0; index < many; index++)
                keys[stream][index] = OF(key)(base[stream * part + start + index], bands);
        for (size_t index = 0; index < many; index++)
            for (size_t stream = 0; stream < STREAMS; stream++)
                places[(size_t)keys[stream][index] * STREAMS + stream]++;
    }
    for (size_t index = STREAMS * part; index < count; index++)
        places[(size_t)OF(key)(base[index], bands) * STREAMS + STREAMS - 1]++;
    uint32_t at = 0;
    for (size_t index = 0; index < rows * STREAMS; index++) {
        uint32_t many = places[index];
        places[index] = at;
        at += many;
    }
}

/* The next of *places* for a number of such a key; never behind the last of *count*, which it would
 * be if the base were other bytes than those that the places are of. */
static INLINE size_t OF(next)(uint32_t *places, size_t key, size_t stream, size_t count) {
    return least(places[key * STREAMS + stream]++, count - 1);
}

/* The steps in the order of their bands, as planes.  Spoils *places*; *room* is for all steps. */
FAST static void OF(subtract_grouped)(const NUMBER *values, const NUMBER *base, size_t count,
                                      const Bands *bands, uint32_t *places, NUMBER *room,
                                      uint8_t *planes) {
    T steps[STREAMS][BLOCK];
    uint16_t keys[STREAMS][BLOCK];
    size_t part = count / STREAMS;
    for (size_t start = 0; start < part; start += BLOCK) {
        size_t many = least(BLOCK, part - start);
        for (size_t stream = 0; stream < STREAMS; stream++) {
            const NUMBER *parents = base + stream * part + start,
                         *new = values + stream *part + start;
            for (size_t index = 0; index < many; index++) {
                steps[stream][index] = OF(step)(new[index], parents[index], 1);
                keys[stream][index] = OF(key)(parents[index], bands);
            }
        }
        for (size_t index = 0; index < many; index++)
            for (size_t stream = 0; stream < STREAMS; stream++)
                room[OF(next)(places, keys[stream][index], stream, count)] = steps[stream][index];
    }
    for (size_t index = STREAMS * part; index < count; index++)
        room[OF(next)(places, OF(key)(base[index], bands), STREAMS - 1, count)] =
            OF(step)(values[index], base[index], 1);
    OF(cut)(room, count, planes, count);
}

/* Undo `subtract_grouped`; steps that all are *small* come as bytes.  Spoils *places*. */
static INLINE void OF(gather)(const void *ordered, int small, const NUMBER *base, size_t count,
                              const Bands *bands, uint32_t *places, NUMBER *values) {
    const uint8_t *octets = ordered;
    const NUMBER *numbers = ordered;
    T steps[STREAMS][BLOCK];
    uint16_t keys[STREAMS][BLOCK];
    size_t part = count / STREAMS;
    for (size_t start = 0; start < part; start += BLOCK) {
        size_t many = least(BLOCK, part - start);
        for (size_t stream = 0; stream < STREAMS; stream++)
            for (size_t index = 0; index < many; index++)
                keys[stream][index] = OF(key)(base[stream * part + start + index], bands);
        for (size_t index = 0; index < many; index++)
            for (size_t stream = 0; stream < STREAMS; stream++) {
                size_t at = OF(next)(places, keys[stream][index], stream, count);
                steps[stream][index] = small ? octets[at] : numbers[at];
            }
        for (size_t stream = 0; stream < STREAMS; stream++) {
            const NUMBER *parents = base + stream * part + start;
            NUMBER *restrict found = values + stream * part + start;
            for (size_t index = 0; index < many; index++)
                found[index] = OF(moved)(steps[stream][index], parents[index], 1);
        }
    }
    for (size_t index = STREAMS * part; index < count; index++) {
        size_t at = OF(next)(places, OF(key)(base[index], bands), STREAMS - 1, count);
        values[index] = OF(moved)(small ? octets[at] : numbers[at], base[index], 1);
    }
}

FAST static void OF(add_grouped)(const uint8_t *planes, const NUMBER *base, size_t count,
                                 const Bands *bands, uint32_t *places, NUMBER *room,
                                 NUMBER *values) {
    if (is_zero(planes + count, (sizeof(T) - 1) * count)) {
        OF(gather)(planes, 1, base, count, bands, places, values);
    } else {
        OF(put_together)(planes, count, count, room);
        OF(gather)(room, 0, base, count, bands, places, values);
    }
}

#undef NUMBER
