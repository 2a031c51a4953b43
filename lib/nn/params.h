/* The parameters and buffers of a network: named tensors in the order of their making. A network is
 * plain C: a structure of handles that its store owns, and a function that computes.
 *
 * Names are those of the reference's state dict ("layer1.0.conv1.weight"), so that its weight files
 * load. Functions that return a status open a scope of their own unless they say otherwise. */
#ifndef NN_PARAMS_H
#define NN_PARAMS_H

#include "bridge/tensor.h"

typedef struct weights weights; /* weights/weights.h */
typedef struct weights_writer weights_writer;

typedef struct params params;

typedef struct param {
    const char *name;
    tensor *value;  /* the store's: its handle stays the same for the store's life */
    bool trainable; /* asks for gradients */
    bool buffer;    /* never trainable: running statistics, centres */
} param;

imiad_status params_create(params **out);
void params_free(params *p); /* with its tensors */

/* Kernels that are added from now on lie plane after plane in memory, not channels-last, as do the
 * values in a network of theirs. For networks whose layers have to go from one to the other. */
void params_lay_planes(params *p);
/* x as kernels and their values lie: four dimensions in that order, others as they are. */
tensor *params_lay(const params *p, tensor *x);

/* Adds a copy of `initial` and returns it, the store's. Not trainable means a buffer. Needs an open
 * scope; a failure (a name that is taken) sticks, like any operation's. */
tensor *params_add(params *p, const char *name, tensor *initial, bool trainable);

size_t params_count(const params *p);
const param *params_at(const params *p, size_t index);       /* in the order of adding */
const param *params_find(const params *p, const char *name); /* NULL where there is none */
/* The parameter of a handle; NULL where the store has none such. */
const param *params_of(const params *p, const tensor *value);
/* Frees it: no handle of it may be used any more. NULL is fine. */
void params_remove(params *p, const tensor *value);
int64_t params_elements(const params *p, bool only_trainable); /* numbers in all tensors */
size_t params_bytes(const params *p);                          /* of all tensors */

/* Lets the parameters whose names begin with the prefix (NULL: all) be trained or not; buffers
 * never are. Returns how many there were. Optimisers made earlier do not learn of new ones. */
size_t params_set_trainable(params *p, const char *prefix, bool trainable);
/* Moves everything; floating-point tensors take the type, 0 leaves it. */
imiad_status params_to(params *p, dtype type, device d);

/* ---- copies ---- */

imiad_status params_clone(params **out, const params *from);
/* Copies values by name. IMIAD_MISMATCH, and nothing copied, unless names and shapes agree. */
imiad_status params_copy(params *into, const params *from);
/* average = decay average + (1 - decay) p for parameters; buffers are copied. */
imiad_status params_average(params *average, const params *p, double decay);

/* ---- gradients ---- */

void params_clear_grad(params *p);
/* Scales all gradients so that their common Euclidean norm is at most `most`, as
 * torch.nn.utils.clip_grad_norm_ does; returns the norm before. Needs an open scope. */
double params_clip_grad(params *p, double most);

/* The same of the gradients of `count` tensors; those without one are passed over. */
double tensors_clip_grad(tensor *const *values, size_t count, double most);

/* ---- weight files ---- */

enum {
    PARAMS_EXACT = 0,
    PARAMS_EXTRA_ALLOWED = 1,  /* the file may have more: a classifier's head */
    PARAMS_MISSING_ALLOWED = 2 /* the file may have less */
};
/* Copies from a file's entries named prefix + name, converting the type. IMIAD_MISMATCH, and
 * nothing loaded, where entries are missing, unexpected or of another shape; the message names
 * them. "num_batches_tracked" is never unexpected: PyTorch writes that counter for every batch
 * norm. */
imiad_status params_load(params *p, const weights *w, const char *prefix, int allowed);
/* First values from a file: a checkpoint of somebody's, or a saved detector, whose names begin with
 * `prefix`; `name` is one that tells which. What the file has beside them is passed over. `who`
 * begins the message. */
imiad_status params_load_initial(params *p, const char *path, const char *prefix, const char *name,
                                 const char *who);
/* Hands every tensor to the writer as prefix + name. Works in the caller's open scope, which holds
 * what had to be copied to the host: it must stay open until the writer commits. */
imiad_status params_save(const params *p, const char *prefix, weights_writer *w);

#endif
