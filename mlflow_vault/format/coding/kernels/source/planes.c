/* Compiled loops over byte planes: looking at them, and packing them.  See compiled.py.
 *
 * A plane whose bytes are mostly tiny is packed: each byte, capped to *bits* (1, 2 or 4), shares
 * one with its neighbours, and what goes beyond the cap follows, in order.  Eight bytes, a *word*,
 * are packed at a time, in one register.
 */

#include "loops.h"

#define WORD 8
typedef uint64_t ANYWHERE anywhere;
#define BYTES 0x0101010101010101u /* times a number: that in each byte of a word */
#define PAIRS 0x0001000100010001u
#define HALVES 0x0000000100000001u

static INLINE unsigned lowest(uint64_t word) { /* the place of its lowest bit */
#if defined(_MSC_VER)
    unsigned long place;
    _BitScanForward64(&place, word);
    return (unsigned)place;
#else
    return (unsigned)__builtin_ctzll(word);
#endif
}

static INLINE uint64_t cap_of(unsigned bits) { return (1u << bits) - 1; }

static INLINE uint64_t capped(uint64_t word, unsigned bits) {
    uint64_t above = word & ~(BYTES * cap_of(bits));
    above = ((((above & BYTES * 0x7f) + BYTES * 0x7f) | above) >> 7) & BYTES;
    return (word | above * cap_of(bits)) & BYTES * cap_of(bits);
}

static INLINE uint64_t folded(uint64_t word, unsigned bits) {
    word = (word | word >> (8 - bits)) & PAIRS * cap_of(2 * bits);
    word = (word | word >> (16 - 2 * bits)) & HALVES * cap_of(4 * bits);
    return word | word >> (32 - 4 * bits);
}

static INLINE uint64_t unfolded(uint64_t word, unsigned bits) {
    word = (word | word << (32 - 4 * bits)) & HALVES * cap_of(4 * bits);
    word = (word | word << (16 - 2 * bits)) & PAIRS * cap_of(2 * bits);
    return (word | word << (8 - bits)) & BYTES * cap_of(bits);
}

/* Return the next word of packed bytes, of which *left* are left, with a bit for each cap. */
static INLINE uint64_t next_caps(const uint8_t *packed, size_t left, unsigned bits) {
    uint64_t word = 0;
    memcpy(&word, packed, least(WORD, left));
    for (unsigned half = bits / 2; half; half /= 2)
        word &= word >> half;
    return word & (bits == 1 ? ~(uint64_t)0 : BYTES * (bits == 2 ? 0x55 : 0x11));
}

static INLINE size_t ones(uint64_t word) {
    word -= word >> 1 & BYTES * 0x55;
    word = (word & BYTES * 0x33) + (word >> 2 & BYTES * 0x33);
    return (size_t)(((word + (word >> 4)) & BYTES * 0x0f) * BYTES >> 56);
}

static INLINE size_t packed_size(size_t count, unsigned bits) {
    return count / WORD * bits + (count % WORD * bits + 7) / 8;
}

#define BITS 1
#define PART uint8_t
#define OF(name) name##_1
#include "packed.h"
#undef BITS
#undef PART
#undef OF

#define BITS 2
#define PART uint16_t
#define OF(name) name##_2
#include "packed.h"
#undef BITS
#undef PART
#undef OF

#define BITS 4
#define PART uint32_t
#define OF(name) name##_4
#include "packed.h"
#undef BITS
#undef PART
#undef OF

/* Count an even sample of a band of a plane, and tell whether all its bytes are one. */
static INLINE int tally_one(const uint8_t *band, size_t count, size_t sample, int64_t *counted) {
    size_t stride = count / sample ? count / sample : 1;
    for (size_t index = 0; index < count; index += stride)
        counted[band[index]]++;
    return !memcmp(band, band + 1, count - 1);
}

/* All bands of all planes, band by band; none is empty. */
static void tally_all(const uint8_t *planes, size_t width, size_t apart, const int64_t *counts,
                      size_t bands, size_t sample, int64_t *counted, uint8_t *constant) {
    for (size_t band = 0, start = 0; band < bands; start += (size_t)counts[band++])
        for (size_t place = 0; place < width; place++, counted += 256)
            *constant++ = (uint8_t)tally_one(planes + place * apart + start, (size_t)counts[band],
                                             sample, counted);
}

static int are_bits(int bits) { return bits == 1 || bits == 2 || bits == 4; }

static PyObject *pack(PyObject *self, PyObject *arguments) {
    Py_buffer plane, packed, beyond;
    int bits;
    size_t found = 0;
    if (!PyArg_ParseTuple(arguments, "y*w*w*i", &plane, &packed, &beyond, &bits))
        return NULL;
    int fits = are_bits(bits) &&
               (size_t)packed.len == packed_size((size_t)plane.len, (unsigned)bits) &&
               beyond.len >= plane.len;
    if (fits) {
        size_t count = (size_t)plane.len;
        switch (bits) {
        case 1: WORK(count, found = pack_1(plane.buf, count, packed.buf, beyond.buf)); break;
        case 2: WORK(count, found = pack_2(plane.buf, count, packed.buf, beyond.buf)); break;
        case 4: WORK(count, found = pack_4(plane.buf, count, packed.buf, beyond.buf)); break;
        }
    }
    PyBuffer_Release(&plane);
    PyBuffer_Release(&packed);
    PyBuffer_Release(&beyond);
    return fits ? PyLong_FromSize_t(found) : wrong("no room for what is packed");
}

static PyObject *caps(PyObject *self, PyObject *arguments) {
    Py_buffer packed;
    Py_ssize_t count;
    int bits;
    size_t found = 0;
    if (!PyArg_ParseTuple(arguments, "y*in", &packed, &bits, &count))
        return NULL;
    int fits = are_bits(bits) && count >= 0 &&
               (size_t)packed.len == packed_size((size_t)count, (unsigned)bits);
    if (fits)
        switch (bits) {
        case 1: WORK(count, found = caps_1(packed.buf, (size_t)count)); break;
        case 2: WORK(count, found = caps_2(packed.buf, (size_t)count)); break;
        case 4: WORK(count, found = caps_4(packed.buf, (size_t)count)); break;
        }
    PyBuffer_Release(&packed);
    return fits ? PyLong_FromSize_t(found) : wrong("not as many packed bytes as they should be");
}

static PyObject *unpack(PyObject *self, PyObject *arguments) {
    Py_buffer packed, beyond, plane;
    int bits;
    if (!PyArg_ParseTuple(arguments, "y*y*w*i", &packed, &beyond, &plane, &bits))
        return NULL;
    int fits =
        are_bits(bits) && (size_t)packed.len == packed_size((size_t)plane.len, (unsigned)bits);
    if (fits) {
        size_t count = (size_t)plane.len, more = (size_t)beyond.len;
        switch (bits) {
        case 1: WORK(count, fits = unpack_1(packed.buf, beyond.buf, more, plane.buf, count)); break;
        case 2: WORK(count, fits = unpack_2(packed.buf, beyond.buf, more, plane.buf, count)); break;
        case 4: WORK(count, fits = unpack_4(packed.buf, beyond.buf, more, plane.buf, count)); break;
        }
    }
    PyBuffer_Release(&packed);
    PyBuffer_Release(&beyond);
    PyBuffer_Release(&plane);
    if (!fits)
        return wrong("not as many packed bytes, or as many beyond the cap, as they should be");
    Py_RETURN_NONE;
}

static PyObject *tally(PyObject *self, PyObject *arguments) {
    Py_buffer planes, counts, counted, constant;
    int width, sample;
    if (!PyArg_ParseTuple(arguments, "y*iy*iw*w*", &planes, &width, &counts, &sample, &counted,
                          &constant))
        return NULL;
    Py_ssize_t bands = counts.len / (Py_ssize_t)sizeof(int64_t);
    const int64_t *sizes = counts.buf;
    int fits = width > 0 && width <= 8 && sample > 0 && planes.len % width == 0 &&
               (uintptr_t)counts.buf % sizeof(int64_t) == 0 &&
               (uintptr_t)counted.buf % sizeof(int64_t) == 0 &&
               counts.len % (Py_ssize_t)sizeof(int64_t) == 0 && constant.len == bands * width &&
               counted.len == bands * width * 256 * (Py_ssize_t)sizeof(int64_t);
    int64_t all = planes.len / (width > 0 ? width : 1);
    for (Py_ssize_t band = 0; fits && band < bands; band++) {
        fits = sizes[band] > 0 && sizes[band] <= all;
        all -= sizes[band];
    }
    if (fits)
        WORK(planes.len, tally_all(planes.buf, (size_t)width, (size_t)(planes.len / width), sizes,
                                   (size_t)bands, (size_t)sample, counted.buf, constant.buf));
    PyBuffer_Release(&planes);
    PyBuffer_Release(&counts);
    PyBuffer_Release(&counted);
    PyBuffer_Release(&constant);
    if (!fits)
        return wrong("bands that the planes do not have");
    Py_RETURN_NONE;
}

static PyMethodDef loops[] = {
    {"pack", pack, METH_VARARGS, "pack(plane, packed, beyond, bits) -> bytes beyond"},
    {"caps", caps, METH_VARARGS, "caps(packed, bits, count) -> bytes beyond"},
    {"unpack", unpack, METH_VARARGS, "unpack(packed, beyond, plane, bits)"},
    {"tally", tally, METH_VARARGS, "tally(planes, width, counts, sample, counted, constant)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_planes", "Loops over byte planes.", 0, loops, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__planes(void) { return PyModuleDef_Init(&definition); }
