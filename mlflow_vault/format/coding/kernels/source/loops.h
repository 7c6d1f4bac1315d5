/* What both modules of compiled loops share.
 *
 * Every function that Python calls looks at the sizes of all that it is given before it begins, and
 * lets go of Python's lock while it works on more than a few bytes.
 */

#ifndef MLFLOW_VAULT_LOOPS_H
#define MLFLOW_VAULT_LOOPS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "chunks hold little-endian numbers; here numpy codes them"
#endif

#if defined(_MSC_VER)
#define INLINE __forceinline
#define ANYWHERE
#define restrict __restrict
#else
#define INLINE inline __attribute__((always_inline))
#define ANYWHERE __attribute__((aligned(1), may_alias)) /* chunks begin at any byte of a file */
#endif

/* Compiled twice, the better one taken when the module is loaded: no wheel may need AVX2. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("avx2", "default")))
#else
#define FAST
#endif

#define SMALL 4096 /* bytes that take less time than letting go of the lock and taking it again */

/* Do *work*, outside Python's lock where there is enough of it. */
#define WORK(bytes, work)                                                                          \
    do {                                                                                           \
        PyThreadState *state = (bytes) > SMALL ? PyEval_SaveThread() : NULL;                       \
        work;                                                                                      \
        if (state)                                                                                 \
            PyEval_RestoreThread(state);                                                           \
    } while (0)

#define REVISION 1 /* of what the functions mean; compiled.py goes by the same or not at all */

static int revise(PyObject *module) {
    return PyModule_AddIntConstant(module, "REVISION", REVISION);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)revise},
#if defined(Py_GIL_DISABLED)
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static INLINE size_t least(size_t one, size_t other) { return one < other ? one : other; }

static INLINE PyObject *wrong(const char *what) {
    PyErr_SetString(PyExc_ValueError, what);
    return NULL;
}

#endif
