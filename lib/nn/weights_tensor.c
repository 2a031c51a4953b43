#include "nn/weights_tensor.h"

#include "base/error.h"

imiad_status weights_writer_add_tensor(weights_writer *writer, const char *name, tensor *t)
{
    int64_t shape[WEIGHT_RANK];
    tensor *host = t_contiguous(t_to_device(t, CPU));
    void *data = t_data(host);
    int rank = t_rank(host);
    if (t_failed() || rank > WEIGHT_RANK)
        return fail(IMIAD_MISMATCH, "cannot save tensor %s", name);
    for (int i = 0; i < rank; ++i)
        shape[i] = t_size(host, i);
    return weights_writer_add(writer, name, t_type(host), rank, shape, data);
}

imiad_status weights_load_tensor(tensor **out, const weights *file, const char *name, device d)
{
    const weight *w = weights_find(file, name);
    if (!w)
        return fail(IMIAD_FORMAT, "there is no weight %s", name);
    scope s = scope_begin();
    tensor *t = t_to_device(t_from(w->data, w->rank, w->shape, w->type, CPU), d);
    if (!t_failed())
        *out = t_keep(t);
    return scope_end(&s);
}
