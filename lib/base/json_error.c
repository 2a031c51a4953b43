#include "base/json_error.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* jansson asks for less than this, all in all, for a text without long runs of numbers. */
static bool there_is_memory(size_t size)
{
    enum { TIMES = 16, MORE = 1 << 16 };
    void *probe = malloc(size * TIMES + MORE);
    bool there = probe != NULL;
    free(probe);
    return there;
}

/* Whether two readings of a text came to the same. */
static bool agree(const json_t *one, const json_error_t *error, const json_t *other,
                  const json_error_t *other_error)
{
    if (one || other)
        return one && other && json_equal(one, other);
    return error->text[0] && error->position == other_error->position &&
           strcmp(error->text, other_error->text) == 0;
}

/* Where an allocation fails, jansson says anything about the text, or nothing, or drops a byte of a
 * long string and goes on (2.14). So the text is read twice: what is wrong is wrong twice, at the
 * same place. */
imiad_status json_read(json_t **out, const void *bytes, size_t size, size_t flags,
                       json_error_t *error, const char *what)
{
    const char *text = size > 0 ? bytes : "";
    json_error_t again;
    *out = NULL;
    if (!there_is_memory(size))
        return fail_memory(what, size);
    json_t *one = json_loadb(text, size, flags, error);
    json_t *other = json_loadb(text, size, flags, &again);
    bool same = agree(one, error, other, &again);
    json_decref(other);
    if (!same) {
        json_decref(one);
        return fail_memory(what, size);
    }
    *out = one;
    return one ? IMIAD_OK : IMIAD_FORMAT;
}

bool json_put_text(json_t *object, const char *name, const char *text)
{
    return json_object_set_new(object, name, text_to_json(text)) == 0;
}
