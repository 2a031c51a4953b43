/* The pickles of PyTorch's state dicts, read without executing anything: numbers, texts, tuples,
 * lists, dicts, and the two things that matter, storages and tensors. Globals are compared with a
 * constant table and never looked up; whatever is not in it ends the reading. */
#ifndef WEIGHTS_PICKLE_H
#define WEIGHTS_PICKLE_H

#include "weights/weights_file.h"

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_REAL, /* its value is nowhere needed, nor kept */
    PICKLE_TEXT,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,
    PICKLE_GLOBAL,
    PICKLE_STORAGE,
    PICKLE_TENSOR
} pickle_kind;

typedef struct pickle_text {
    const char *bytes; /* in the pickle: no NUL at the end */
    size_t length;
} pickle_text;

/* Dicts keep key, value, key, value. Containers may contain themselves: do not recurse. */
typedef struct pickle_items {
    struct pickle_node **at;
    size_t count, room;
} pickle_items;

typedef struct pickle_storage {
    pickle_text key;
    const struct pickle_global *kind;  /* element type and size */
    int64_t count;                     /* of the whole storage, in elements */
    int64_t view_begin, view_count;    /* the part that this reference means */
    const struct pickle_storage *next; /* of pickle.storages */
} pickle_storage;

typedef struct pickle_tensor {
    const pickle_storage *storage;
    const struct pickle_global *kind; /* of an element: the storage's, unless that is untyped */
    weight_layout layout;             /* type is filled in by who reads the tensor */
} pickle_tensor;

typedef struct pickle_node {
    pickle_kind kind;
    union {
        int64_t integer; /* of PICKLE_BOOL too */
        pickle_text text;
        pickle_items items;
        const struct pickle_global *global;
        const pickle_storage *storage;
        const pickle_tensor *tensor;
    };
} pickle_node;

typedef enum global_role {
    GLOBAL_ORDERED_DICT = 1,
    GLOBAL_SIZE,
    GLOBAL_TENSOR,    /* rebuilds one: storage, offset, size, stride, ... */
    GLOBAL_TENSOR_V3, /* the same, of an untyped storage: element type as seventh argument */
    GLOBAL_PARAMETER,
    GLOBAL_STORAGE,
    GLOBAL_TYPE
} global_role;

typedef struct pickle_global {
    const char *module, *name;
    global_role role;
    uint8_t bytes; /* of an element */
    dtype type;    /* 0: a type that this library does not read */
} pickle_global;

typedef struct pickle {
    const pickle_node *top;
    const pickle_storage *storages; /* every reference to one, also of tensors not wanted */
    size_t size;
} pickle;

/* Reads one pickle from the beginning of bytes, up to its STOP. Nodes live in `memory`, whose owner
 * is the name for messages. */
imiad_status pickle_read(pickle *out, arena *memory, const uint8_t *bytes, size_t size);

const pickle_global *pickle_find_global(pickle_text module, pickle_text name); /* or NULL */
const char *pickle_kind_name(pickle_kind kind);
bool text_equals(pickle_text text, const char *literal);

#endif
