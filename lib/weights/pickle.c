#include "weights/pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Far above what state dicts need: a ResNet-50 has 2 thousand nodes and 6 marks at a time. The
 * pickler puts at most a thousand items on the stack at once. */
enum {
    STACK_LIMIT = 1 << 16,
    MARK_LIMIT = 1000,
    MEMO_LIMIT = 1 << 20,
    NODE_LIMIT = 1 << 21,
    TEXT_LIMIT = 1 << 16,
    NAME_LIMIT = 200
};

typedef struct machine {
    arena *memory;
    const uint8_t *begin, *at, *end;
    pickle_node **stack;
    size_t depth, stack_room;
    size_t marks[MARK_LIMIT]; /* depths */
    size_t mark_count;
    pickle_node **memo;
    size_t memo_room, node_count;
    const pickle_storage *storages; /* all so far */
    bool stopped;
} machine;

static void report(const machine *m, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

static void report(const machine *m, const char *format, ...)
{
    char message[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    fail(IMIAD_FORMAT, "%s: pickle, byte %zu: %s", m->memory->owner, (size_t)(m->at - m->begin),
         message);
}

/* A macro, so that the compiler sees that it is never success. */
#define broken(...) (report(__VA_ARGS__), IMIAD_FORMAT)

/* ---- nodes and the stack ---- */

static imiad_status grow(pickle_node ***array, size_t *old_room, size_t room, const machine *m)
{
    pickle_node **grown = realloc(*array, room * sizeof *grown);
    if (!grown)
        return fail_memory(m->memory->owner, room * sizeof *grown);
    memset(grown + *old_room, 0, (room - *old_room) * sizeof *grown);
    *array = grown;
    *old_room = room;
    return IMIAD_OK;
}

static imiad_status push(machine *m, pickle_node *node)
{
    if (m->depth == STACK_LIMIT)
        return broken(m, "more than %d values on the stack", STACK_LIMIT);
    if (m->depth == m->stack_room)
        TRY(grow(&m->stack, &m->stack_room, 2 * m->depth, m));
    m->stack[m->depth++] = node;
    return IMIAD_OK;
}

static imiad_status push_new(machine *m, pickle_node value)
{
    pickle_node *node;
    if (m->node_count++ == NODE_LIMIT)
        return broken(m, "more than %d values", NODE_LIMIT);
    TRY(arena_take(&node, m->memory, sizeof *node));
    *node = value;
    return push(m, node);
}

/* What may be popped: values above the innermost mark. */
static size_t floor_of(const machine *m)
{
    return m->mark_count > 0 ? m->marks[m->mark_count - 1] : 0;
}

static imiad_status need(machine *m, size_t count)
{
    if (m->depth - floor_of(m) < count)
        return broken(m, "the stack has fewer than %zu values", count);
    return IMIAD_OK;
}

static pickle_node *pop(machine *m) /* after need */
{
    return m->stack[--m->depth];
}

/* So many values, or with a negative count the innermost mark and all above it. They stay in place
 * above m->depth until the next push. */
static imiad_status pop_items(pickle_node ***out, size_t *taken, machine *m, int count)
{
    if (count >= 0) {
        TRY(need(m, (size_t)count));
        *taken = (size_t)count;
    } else {
        if (m->mark_count == 0)
            return broken(m, "no mark on the stack");
        *taken = m->depth - m->marks[--m->mark_count];
    }
    m->depth -= *taken;
    *out = m->stack + m->depth;
    return IMIAD_OK;
}

static imiad_status append(machine *m, pickle_node *container, pickle_node *const *items,
                           size_t count)
{
    pickle_items *into = &container->items;
    if (count > into->room - into->count) {
        size_t room = 2 * into->room + count;
        pickle_node **grown;
        TRY(arena_take(&grown, m->memory, room * sizeof *grown));
        if (into->count > 0)
            memcpy(grown, into->at, into->count * sizeof *grown);
        into->at = grown;
        into->room = room;
    }
    if (count > 0)
        memcpy(into->at + into->count, items, count * sizeof *items);
    into->count += count;
    return IMIAD_OK;
}

static imiad_status top(pickle_node **out, machine *m, pickle_kind kind, const char *operation)
{
    TRY(need(m, 1));
    pickle_node *node = m->stack[m->depth - 1];
    if (node->kind != kind)
        return broken(m, "%s on %s, not on %s", operation, pickle_kind_name(node->kind),
                      pickle_kind_name(kind));
    *out = node;
    return IMIAD_OK;
}

/* ---- reading arguments ---- */

static imiad_status take(const uint8_t **out, machine *m, size_t count)
{
    if ((size_t)(m->end - m->at) < count)
        return broken(m, "truncated");
    *out = m->at;
    m->at += count;
    return IMIAD_OK;
}

/* Little endian, of up to eight bytes, as an unsigned number. */
static imiad_status take_number(uint64_t *out, machine *m, size_t bytes)
{
    const uint8_t *at;
    TRY(take(&at, m, bytes));
    *out = 0;
    memcpy(out, at, bytes);
    return IMIAD_OK;
}

static imiad_status take_line(pickle_text *out, machine *m)
{
    size_t left = (size_t)(m->end - m->at);
    const uint8_t *end = memchr(m->at, '\n', left < NAME_LIMIT ? left : NAME_LIMIT);
    if (!end)
        return broken(m, "a name without an end");
    *out = (pickle_text){(const char *)m->at, (size_t)(end - m->at)};
    m->at = end + 1;
    return IMIAD_OK;
}

/* ---- calling: REDUCE with one of our globals ---- */

static imiad_status wrong_arguments(machine *m, const pickle_global *global)
{
    return broken(m, "wrong arguments for %s.%s", global->module, global->name);
}

static bool is_kind(const pickle_items *arguments, size_t index, pickle_kind kind)
{
    return index < arguments->count && arguments->at[index]->kind == kind;
}

/* OrderedDict(), or as Python 2 pickles it OrderedDict([[key, value], ...]) */
static imiad_status make_dict(machine *m, const pickle_global *global,
                              const pickle_items *arguments)
{
    pickle_node dict = {.kind = PICKLE_DICT};
    if (arguments->count > 1 || (arguments->count == 1 && !is_kind(arguments, 0, PICKLE_LIST)))
        return wrong_arguments(m, global);
    const pickle_items *pairs = arguments->count == 1 ? &arguments->at[0]->items : arguments;
    for (size_t i = 0; i < pairs->count; ++i) {
        const pickle_node *pair = pairs->at[i];
        if ((pair->kind != PICKLE_LIST && pair->kind != PICKLE_TUPLE) || pair->items.count != 2)
            return wrong_arguments(m, global);
        TRY(append(m, &dict, pair->items.at, 2));
    }
    return push_new(m, dict);
}

static bool read_sizes(int64_t out[WEIGHT_RANK], const pickle_items *sizes)
{
    for (size_t d = 0; d < sizes->count; ++d) {
        if (sizes->at[d]->kind != PICKLE_INT || sizes->at[d]->integer < 0)
            return false;
        out[d] = sizes->at[d]->integer;
    }
    return true;
}

/* storage, offset, size, stride, and then requires_grad, hooks, and in version 3 the element type
 */
static imiad_status make_tensor(machine *m, const pickle_global *global,
                                const pickle_items *arguments)
{
    if (!is_kind(arguments, 0, PICKLE_STORAGE) || !is_kind(arguments, 1, PICKLE_INT) ||
        !is_kind(arguments, 2, PICKLE_TUPLE) || !is_kind(arguments, 3, PICKLE_TUPLE))
        return wrong_arguments(m, global);
    const pickle_items *size = &arguments->at[2]->items, *stride = &arguments->at[3]->items;
    pickle_tensor *rebuilt;
    TRY(arena_take(&rebuilt, m->memory, sizeof *rebuilt));
    *rebuilt = (pickle_tensor){.storage = arguments->at[0]->storage,
                               .layout = {.offset = arguments->at[1]->integer}};
    rebuilt->kind = rebuilt->storage->kind;
    if (global->role == GLOBAL_TENSOR_V3) {
        if (!is_kind(arguments, 6, PICKLE_GLOBAL) ||
            arguments->at[6]->global->role != GLOBAL_TYPE || rebuilt->kind->bytes != 1)
            return wrong_arguments(m, global);
        rebuilt->kind = arguments->at[6]->global;
    }
    if (size->count > WEIGHT_RANK || size->count != stride->count)
        return broken(m, "a tensor of %zu dimensions with %zu strides: at most %d", size->count,
                      stride->count, WEIGHT_RANK);
    rebuilt->layout.rank = (int)size->count;
    if (rebuilt->layout.offset < 0 || !read_sizes(rebuilt->layout.shape, size) ||
        !read_sizes(rebuilt->layout.stride, stride))
        return broken(m, "a tensor with a negative size, stride or offset");
    return push_new(m, (pickle_node){.kind = PICKLE_TENSOR, .tensor = rebuilt});
}

static imiad_status op_reduce(machine *m, int unused)
{
    pickle_node *arguments, *function;
    TRY(top(&arguments, m, PICKLE_TUPLE, "REDUCE"));
    pop(m);
    TRY(top(&function, m, PICKLE_GLOBAL, "REDUCE"));
    pop(m);
    const pickle_global *global = function->global;
    switch (global->role) {
    case GLOBAL_ORDERED_DICT:
        return make_dict(m, global, &arguments->items);
    case GLOBAL_TENSOR:
    case GLOBAL_TENSOR_V3:
        return make_tensor(m, global, &arguments->items);
    case GLOBAL_PARAMETER:
        if (!is_kind(&arguments->items, 0, PICKLE_TENSOR))
            return wrong_arguments(m, global);
        return push(m, arguments->items.at[0]);
    case GLOBAL_SIZE:
        if (!is_kind(&arguments->items, 0, PICKLE_TUPLE))
            return wrong_arguments(m, global);
        return push(m, arguments->items.at[0]);
    case GLOBAL_STORAGE:
    case GLOBAL_TYPE:
        break;
    }
    return broken(m, "%s.%s is called, but is no function", global->module, global->name);
}

/* ("storage", type, key, location, count), in legacy files followed by None or a view of the
 * storage: (key, begin, count) */
static imiad_status op_binpersid(machine *m, int unused)
{
    pickle_node *id;
    TRY(top(&id, m, PICKLE_TUPLE, "BINPERSID"));
    pop(m);
    const pickle_items *parts = &id->items;
    if (is_kind(parts, 0, PICKLE_TEXT) && text_equals(parts->at[0]->text, "module"))
        return broken(m, "a whole model was saved; save its state_dict() instead");
    if (!is_kind(parts, 0, PICKLE_TEXT) || !text_equals(parts->at[0]->text, "storage") ||
        !is_kind(parts, 1, PICKLE_GLOBAL) || parts->at[1]->global->role != GLOBAL_STORAGE ||
        !is_kind(parts, 2, PICKLE_TEXT) || !is_kind(parts, 4, PICKLE_INT) || parts->count > 6)
        return broken(m, "not the reference to a storage");
    int64_t count = parts->at[4]->integer;
    pickle_storage *storage;
    TRY(arena_take(&storage, m->memory, sizeof *storage));
    *storage = (pickle_storage){.key = parts->at[2]->text,
                                .kind = parts->at[1]->global,
                                .count = count,
                                .view_count = count,
                                .next = m->storages};
    m->storages = storage;
    if (is_kind(parts, 5, PICKLE_TUPLE)) {
        const pickle_items *view = &parts->at[5]->items;
        if (!is_kind(view, 1, PICKLE_INT) || !is_kind(view, 2, PICKLE_INT))
            return broken(m, "not a view of a storage");
        storage->view_begin = view->at[1]->integer;
        storage->view_count = view->at[2]->integer;
    }
    if (count < 0 || storage->view_begin < 0 || storage->view_begin > count ||
        storage->view_count < 0 || storage->view_count > count - storage->view_begin)
        return broken(m, "a storage of impossible size");
    return push_new(m, (pickle_node){.kind = PICKLE_STORAGE, .storage = storage});
}

static imiad_status op_global(machine *m, int unused)
{
    pickle_text module, name;
    TRY(take_line(&module, m));
    TRY(take_line(&name, m));
    const pickle_global *global = pickle_find_global(module, name);
    if (global)
        return push_new(m, (pickle_node){.kind = PICKLE_GLOBAL, .global = global});
    return broken(m,
                  "it asks for %s.%s, which a state dict has no need of; save only the "
                  "state_dict()",
                  show_text(module.bytes, module.length).text,
                  show_text(name.bytes, name.length).text);
}

/* ---- the other operations; the argument comes from the table ---- */

static imiad_status op_proto(machine *m, int unused)
{
    uint64_t version;
    TRY(take_number(&version, m, 1));
    if (version > 3)
        return broken(m, "pickle protocol %d; save with torch.save's default protocol",
                      (int)version);
    return IMIAD_OK;
}

static imiad_status op_stop(machine *m, int unused)
{
    if (m->depth != 1 || m->mark_count > 0)
        return broken(m, "the pickle ends with %zu values on the stack, not one", m->depth);
    m->stopped = true;
    return IMIAD_OK;
}

static imiad_status op_mark(machine *m, int unused)
{
    if (m->mark_count == MARK_LIMIT)
        return broken(m, "more than %d marks on the stack", MARK_LIMIT);
    m->marks[m->mark_count++] = m->depth;
    return IMIAD_OK;
}

static imiad_status op_empty(machine *m, int kind)
{
    return push_new(m, (pickle_node){.kind = (pickle_kind)kind});
}

static imiad_status op_bool(machine *m, int value)
{
    return push_new(m, (pickle_node){.kind = PICKLE_BOOL, .integer = value});
}

/* Little endian; of four bytes it is signed. */
static imiad_status op_integer(machine *m, int bytes)
{
    uint64_t value;
    TRY(take_number(&value, m, (size_t)bytes));
    int64_t integer = bytes == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
    return push_new(m, (pickle_node){.kind = PICKLE_INT, .integer = integer});
}

/* A byte of length, then two's complement. */
static imiad_status op_long(machine *m, int unused)
{
    uint64_t length, value;
    TRY(take_number(&length, m, 1));
    if (length > sizeof value)
        return broken(m, "an integer of %d bytes", (int)length);
    TRY(take_number(&value, m, (size_t)length));
    if (length > 0 && length < sizeof value && value >> (8 * length - 1))
        value |= UINT64_MAX << 8 * length;
    return push_new(m, (pickle_node){.kind = PICKLE_INT, .integer = (int64_t)value});
}

static imiad_status op_real(machine *m, int bytes)
{
    const uint8_t *at;
    TRY(take(&at, m, (size_t)bytes));
    return push_new(m, (pickle_node){.kind = PICKLE_REAL});
}

static imiad_status op_text(machine *m, int length_bytes)
{
    uint64_t length;
    const uint8_t *at;
    TRY(take_number(&length, m, (size_t)length_bytes));
    if (length > TEXT_LIMIT)
        return broken(m, "a text of %llu bytes", (unsigned long long)length);
    TRY(take(&at, m, (size_t)length));
    pickle_text text = {(const char *)at, (size_t)length};
    return push_new(m, (pickle_node){.kind = PICKLE_TEXT, .text = text});
}

/* Of `count` values, or of all above the mark. */
enum { TO_MARK = -1 };
static imiad_status op_tuple(machine *m, int count)
{
    pickle_node **items, tuple = {.kind = PICKLE_TUPLE};
    size_t taken;
    TRY(pop_items(&items, &taken, m, count));
    TRY(append(m, &tuple, items, taken));
    return push_new(m, tuple);
}

static imiad_status op_append(machine *m, int count)
{
    pickle_node **items, *list;
    size_t taken;
    TRY(pop_items(&items, &taken, m, count));
    TRY(top(&list, m, PICKLE_LIST, "APPEND"));
    return append(m, list, items, taken);
}

static imiad_status op_setitem(machine *m, int count)
{
    pickle_node **items, *dict;
    size_t taken;
    TRY(pop_items(&items, &taken, m, count));
    if (taken % 2 != 0)
        return broken(m, "SETITEMS with a key that has no value");
    TRY(top(&dict, m, PICKLE_DICT, "SETITEM"));
    return append(m, dict, items, taken);
}

/* Attributes of an OrderedDict: _metadata, with the versions of modules. Passed over. */
static imiad_status op_build(machine *m, int unused)
{
    pickle_node *dict;
    TRY(need(m, 1));
    pop(m);
    return top(&dict, m, PICKLE_DICT, "BUILD");
}

static imiad_status op_put(machine *m, int index_bytes)
{
    uint64_t index;
    TRY(take_number(&index, m, (size_t)index_bytes));
    TRY(need(m, 1));
    if (index >= MEMO_LIMIT)
        return broken(m, "memo %llu is beyond %d", (unsigned long long)index, MEMO_LIMIT);
    if (index >= m->memo_room)
        TRY(grow(&m->memo, &m->memo_room, 2 * (size_t)index + 64, m));
    m->memo[index] = m->stack[m->depth - 1];
    return IMIAD_OK;
}

static imiad_status op_get(machine *m, int index_bytes)
{
    uint64_t index;
    TRY(take_number(&index, m, (size_t)index_bytes));
    if (index >= m->memo_room || !m->memo[index])
        return broken(m, "memo %llu was never set", (unsigned long long)index);
    return push(m, m->memo[index]);
}

typedef struct operation {
    const char *name;
    imiad_status (*run)(machine *m, int argument); /* NULL: refused */
    int argument;
} operation;

/* What torch.save writes. The refused ones are named because they make objects of any class, or
 * come from a protocol that torch.save does not use by itself. */
static const operation operations[256] = {
    [0x80] = {"PROTO", op_proto, 0},
    ['.'] = {"STOP", op_stop, 0},
    ['('] = {"MARK", op_mark, 0},
    ['N'] = {"NONE", op_empty, PICKLE_NONE},
    [0x88] = {"NEWTRUE", op_bool, 1},
    [0x89] = {"NEWFALSE", op_bool, 0},
    ['J'] = {"BININT", op_integer, 4},
    ['K'] = {"BININT1", op_integer, 1},
    ['M'] = {"BININT2", op_integer, 2},
    [0x8a] = {"LONG1", op_long, 0},
    ['G'] = {"BINFLOAT", op_real, 8},
    ['X'] = {"BINUNICODE", op_text, 4},
    ['T'] = {"BINSTRING", op_text, 4},
    ['U'] = {"SHORT_BINSTRING", op_text, 1},
    [')'] = {"EMPTY_TUPLE", op_empty, PICKLE_TUPLE},
    ['t'] = {"TUPLE", op_tuple, TO_MARK},
    [0x85] = {"TUPLE1", op_tuple, 1},
    [0x86] = {"TUPLE2", op_tuple, 2},
    [0x87] = {"TUPLE3", op_tuple, 3},
    [']'] = {"EMPTY_LIST", op_empty, PICKLE_LIST},
    ['a'] = {"APPEND", op_append, 1},
    ['e'] = {"APPENDS", op_append, TO_MARK},
    ['}'] = {"EMPTY_DICT", op_empty, PICKLE_DICT},
    ['s'] = {"SETITEM", op_setitem, 2},
    ['u'] = {"SETITEMS", op_setitem, TO_MARK},
    ['q'] = {"BINPUT", op_put, 1},
    ['r'] = {"LONG_BINPUT", op_put, 4},
    ['h'] = {"BINGET", op_get, 1},
    ['j'] = {"LONG_BINGET", op_get, 4},
    ['c'] = {"GLOBAL", op_global, 0},
    ['Q'] = {"BINPERSID", op_binpersid, 0},
    ['R'] = {"REDUCE", op_reduce, 0},
    ['b'] = {"BUILD", op_build, 0},
    ['i'] = {"INST", NULL, 0},
    ['o'] = {"OBJ", NULL, 0},
    [0x81] = {"NEWOBJ", NULL, 0},
    [0x92] = {"NEWOBJ_EX", NULL, 0},
    [0x93] = {"STACK_GLOBAL", NULL, 0},
    [0x82] = {"EXT1", NULL, 0},
    [0x83] = {"EXT2", NULL, 0},
    [0x84] = {"EXT4", NULL, 0},
    ['P'] = {"PERSID", NULL, 0},
    [0x94] = {"MEMOIZE", NULL, 0},
    [0x95] = {"FRAME", NULL, 0},
};

static imiad_status run(machine *m)
{
    while (!m->stopped) {
        const uint8_t *code;
        TRY(take(&code, m, 1));
        const operation *o = &operations[*code];
        if (!o->run)
            return broken(m, "operation 0x%02x%s%s has no place in a state dict", *code,
                          o->name ? " " : "", o->name ? o->name : "");
        TRY(o->run(m, o->argument));
    }
    return IMIAD_OK;
}

imiad_status pickle_read(pickle *out, arena *memory, const uint8_t *bytes, size_t size)
{
    machine *m = calloc(1, sizeof *m);
    if (!m)
        return fail_memory(memory->owner, sizeof *m);
    m->memory = memory;
    m->begin = m->at = bytes;
    m->end = bytes + size;
    imiad_status status = grow(&m->stack, &m->stack_room, 64, m);
    if (status == IMIAD_OK)
        status = run(m);
    if (status == IMIAD_OK)
        *out = (pickle){m->stack[0], m->storages, (size_t)(m->at - bytes)};
    free(m->memo);
    free(m->stack);
    free(m);
    return status;
}
