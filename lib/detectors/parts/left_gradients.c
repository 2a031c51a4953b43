#include "detectors/parts/left_gradients.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

static const char prefix[] = "left.";

/* The parameter whose gradients this buffer holds; NULL where it is none. */
static tensor *owner_of(const params *store, const param *p)
{
    if (strncmp(p->name, prefix, sizeof prefix - 1) != 0)
        return NULL;
    const param *owner = params_find(store, p->name + sizeof prefix - 1);
    return owner ? owner->value : NULL;
}

void left_gradients_add(params *store, const char *trained)
{
    size_t count = params_count(store);
    for (size_t i = 0; i < count && !t_failed(); ++i) {
        const param *p = params_at(store, i);
        char name[160];
        if (!p->trainable || strncmp(p->name, trained, strlen(trained)) == 0)
            continue;
        snprintf(name, sizeof name, "%s%s", prefix, p->name);
        params_add(store, name, t_mul_scalar(t_detach(p->value), 0), false);
    }
}

tensor *left_gradients_term(const params *store)
{
    tensor *sum = NULL;
    for (size_t i = 0; i < params_count(store) && !t_failed(); ++i) {
        const param *p = params_at(store, i);
        tensor *owner = owner_of(store, p);
        if (owner) /* the values cancel, the gradients stay */
            sum = t_plus(sum, t_sum_all(t_mul(t_sub(owner, t_detach(owner)), p->value)));
    }
    return sum;
}

void left_gradients_keep(const params *store)
{
    for (size_t i = 0; i < params_count(store) && !t_failed(); ++i) {
        const param *p = params_at(store, i);
        tensor *owner = owner_of(store, p), *gradient = owner ? t_grad(owner) : NULL;
        if (gradient)
            t_copy_(p->value, gradient);
    }
}
