/* Compiled loops over numbers: their steps, and their bytes as planes.  See compiled.py. */

#include "loops.h"

#define BLOCK 512 /* numbers worked on at once */
#define STREAMS                                                                                    \
    4 /* parts of a chunk that are sorted side by side, as each waits for its stores               \
       */

/* Numbers in bands by the exponent of their base, clamped. */
typedef struct {
    unsigned mantissa; /* bits below the exponent */
    uint16_t mask;     /* of the exponent, shifted down */
    uint16_t low, high;
} Bands;

static INLINE int is_zero(const uint8_t *octets, size_t count) {
    return !count || (!octets[0] && !memcmp(octets, octets + 1, count - 1));
}

#define T uint8_t
#define OF(name) name##_1
#include "numbers.h"
#undef T
#undef OF

#define T uint16_t
#define OF(name) name##_2
#include "numbers.h"
#undef T
#undef OF

#define T uint32_t
#define OF(name) name##_4
#include "numbers.h"
#undef T
#undef OF

#define T uint64_t
#define OF(name) name##_8
#include "numbers.h"
#undef T
#undef OF

/* Do it for numbers of *width* bytes; the pointers are cast as *name* wants them. */
#define BY_WIDTH(width, bytes, name, ...)                                                          \
    switch (width) {                                                                               \
    case 1: WORK(bytes, name##_1(__VA_ARGS__)); break;                                             \
    case 2: WORK(bytes, name##_2(__VA_ARGS__)); break;                                             \
    case 4: WORK(bytes, name##_4(__VA_ARGS__)); break;                                             \
    case 8: WORK(bytes, name##_8(__VA_ARGS__)); break;                                             \
    }

static int is_width(int width) { return width == 1 || width == 2 || width == 4 || width == 8; }

/* Numbers in two places, the second as planes or not. */
static PyObject *two(PyObject *arguments, int joining) {
    Py_buffer from, to;
    int width, rotated;
    if (!PyArg_ParseTuple(arguments, "y*w*ip", &from, &to, &width, &rotated))
        return NULL;
    int fits = is_width(width) && from.len % width == 0 && to.len == from.len;
    if (fits) {
        size_t count = (size_t)from.len / (size_t)width;
        if (joining) {
            BY_WIDTH(width, from.len, join, from.buf, count, to.buf, rotated)
        } else {
            BY_WIDTH(width, from.len, split, from.buf, count, to.buf, rotated)
        }
    }
    PyBuffer_Release(&from);
    PyBuffer_Release(&to);
    if (!fits)
        return wrong("planes that do not hold the numbers");
    Py_RETURN_NONE;
}

static PyObject *split(PyObject *self, PyObject *arguments) { return two(arguments, 0); }
static PyObject *join(PyObject *self, PyObject *arguments) { return two(arguments, 1); }

/* Numbers, their base, and what becomes of them. */
static PyObject *three(PyObject *arguments, int adding) {
    Py_buffer from, base, to;
    int width, floats;
    if (!PyArg_ParseTuple(arguments, "y*y*w*ip", &from, &base, &to, &width, &floats))
        return NULL;
    int fits =
        is_width(width) && from.len % width == 0 && base.len == from.len && to.len == from.len;
    if (fits) {
        size_t count = (size_t)from.len / (size_t)width;
        if (adding) {
            BY_WIDTH(width, from.len, add, from.buf, base.buf, count, to.buf, floats)
        } else {
            BY_WIDTH(width, from.len, subtract, from.buf, base.buf, count, to.buf, floats)
        }
    }
    PyBuffer_Release(&from);
    PyBuffer_Release(&base);
    PyBuffer_Release(&to);
    if (!fits)
        return wrong("numbers, base and steps of different sizes");
    Py_RETURN_NONE;
}

static PyObject *subtract(PyObject *self, PyObject *arguments) { return three(arguments, 0); }
static PyObject *add(PyObject *self, PyObject *arguments) { return three(arguments, 1); }

/* Read the bands from (mantissa bits, exponent bits, low, high); return whether they can be. */
static int are_bands(const int bits[2], const int ends[2], int width, Bands *bands) {
    if (!is_width(width) || bits[0] < 0 || bits[1] < 1 || bits[1] > 15 ||
        bits[0] >= 8 * width - bits[1] || ends[0] < 0 || ends[0] > ends[1] ||
        ends[1] >= 1 << bits[1])
        return 0;
    bands->mantissa = (unsigned)bits[0];
    bands->mask = (uint16_t)((1 << bits[1]) - 1);
    bands->low = (uint16_t)ends[0];
    bands->high = (uint16_t)ends[1];
    return 1;
}

static Py_ssize_t rows_of(const Bands *bands) { return bands->high - bands->low + 1; }

static int are_places(const Py_buffer *places, const Bands *bands) {
    return places->len == rows_of(bands) * STREAMS * (Py_ssize_t)sizeof(uint32_t) &&
           (uintptr_t)places->buf % sizeof(uint32_t) == 0;
}

static PyObject *place(PyObject *self, PyObject *arguments) {
    Py_buffer base, places;
    int width, bits[2], ends[2];
    Bands bands;
    if (!PyArg_ParseTuple(arguments, "y*w*i(ii)(ii)", &base, &places, &width, &bits[0], &bits[1],
                          &ends[0], &ends[1]))
        return NULL;
    int fits = are_bands(bits, ends, width, &bands) && base.len % width == 0 &&
               base.len / width <= UINT32_MAX && are_places(&places, &bands);
    if (fits) {
        size_t count = (size_t)base.len / (size_t)width;
        BY_WIDTH(width, base.len, place, base.buf, count, &bands, places.buf)
    }
    PyBuffer_Release(&base);
    PyBuffer_Release(&places);
    if (!fits)
        return wrong("bands that the numbers cannot be in");
    Py_RETURN_NONE;
}

static PyObject *grouped(PyObject *arguments, int adding) {
    Py_buffer from, base, places, room, to;
    int width, bits[2], ends[2];
    Bands bands;
    if (!PyArg_ParseTuple(arguments, "y*y*w*w*w*i(ii)(ii)", &from, &base, &places, &room, &to,
                          &width, &bits[0], &bits[1], &ends[0], &ends[1]))
        return NULL;
    int fits = are_bands(bits, ends, width, &bands) && base.len % width == 0 &&
               base.len / width <= UINT32_MAX && are_places(&places, &bands) &&
               from.len == base.len && room.len == base.len && to.len == base.len;
    if (fits) {
        size_t count = (size_t)base.len / (size_t)width;
        if (adding) {
            BY_WIDTH(width, base.len, add_grouped, from.buf, base.buf, count, &bands, places.buf,
                     room.buf, to.buf)
        } else {
            BY_WIDTH(width, base.len, subtract_grouped, from.buf, base.buf, count, &bands,
                     places.buf, room.buf, to.buf)
        }
    }
    PyBuffer_Release(&from);
    PyBuffer_Release(&base);
    PyBuffer_Release(&places);
    PyBuffer_Release(&room);
    PyBuffer_Release(&to);
    if (!fits)
        return wrong("bands, numbers and steps that do not belong together");
    Py_RETURN_NONE;
}

static PyObject *subtract_grouped(PyObject *self, PyObject *arguments) {
    return grouped(arguments, 0);
}

static PyObject *add_grouped(PyObject *self, PyObject *arguments) { return grouped(arguments, 1); }

static PyMethodDef loops[] = {
    {"split", split, METH_VARARGS, "split(values, planes, width, rotated)"},
    {"join", join, METH_VARARGS, "join(planes, values, width, rotated)"},
    {"subtract", subtract, METH_VARARGS, "subtract(values, base, planes, width, floats)"},
    {"add", add, METH_VARARGS, "add(planes, base, values, width, floats)"},
    {"place", place, METH_VARARGS, "place(base, places, width, bits, ends)"},
    {"subtract_grouped", subtract_grouped, METH_VARARGS,
     "subtract_grouped(values, base, places, room, planes, width, bits, ends)"},
    {"add_grouped", add_grouped, METH_VARARGS,
     "add_grouped(planes, base, places, room, values, width, bits, ends)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_numbers", "Loops over numbers.", 0, loops, slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__numbers(void) { return PyModuleDef_Init(&definition); }
