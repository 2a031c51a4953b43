#include "detectors/parts/gcad_networks.h"

static const double slope = 0.005;

int64_t gcad_descriptors(const gcad_spec *spec)
{
    return 2 * spec->width;
}

static void add_upscale(conv2d out[GCAD_UPSCALE], const builder *b, int64_t inputs, int64_t outputs)
{
    static const char *const names[GCAD_UPSCALE] = {"0", "2", "4"};
    for (int i = 0; i < GCAD_UPSCALE; ++i) {
        out[i] = conv2d_add(
            b, names[i],
            (conv2d_spec){.inputs = inputs, .outputs = outputs, .kernel = 1, .bias = true});
        inputs = outputs;
    }
}

gcad_networks gcad_networks_add(const builder *b, const gcad_spec *spec)
{
    gcad_networks n = {.spec = *spec};
    int64_t describing = gcad_descriptors(spec);
    const builder descriptor = builder_below(b, "descriptor"), local = builder_below(b, "local"),
                  squeezing = builder_below(b, "squeezing"), upscale = builder_below(b, "upscale"),
                  global = builder_below(b, "global");
    n.descriptor = patch_descriptor_add(&descriptor, spec->field, describing);
    if (spec->local)
        n.local = unet_add(&local, 3, spec->width, describing);
    if (!spec->global)
        return n;
    n.squeezing = squeezing_network_add(&squeezing, spec->side, spec->width / 2, spec->numbers,
                                        spec->channels, spec->learning);
    if (spec->learning)
        add_upscale(n.upscale, &upscale, spec->channels, describing);
    n.global = unet_add(&global, 3, spec->width, spec->channels);
    return n;
}

static void drop(conv2d *c, params *store)
{
    params_remove(store, c->weight);
    params_remove(store, c->bias);
    *c = (conv2d){NULL, NULL, {0}};
}

void gcad_networks_finish(gcad_networks *n, params *store)
{
    for (int i = 0; i < GCAD_UPSCALE; ++i)
        drop(&n->upscale[i], store);
    for (int i = 0; i < SQUEEZING_LEVELS; ++i)
        drop(&n->squeezing.skips[i], store);
    n->spec.learning = false;
}

/* U: what the squeezed image has to tell of every patch. */
static tensor *upscale(const gcad_networks *n, tensor *x)
{
    for (int i = 0; i < GCAD_UPSCALE; ++i) {
        x = conv2d_run(&n->upscale[i], x);
        if (i + 1 < GCAD_UPSCALE)
            x = t_leaky_relu(x, slope);
    }
    return x;
}

tensor *gcad_loss(const gcad_networks *n, tensor *images, tensor *described,
                  const double skips[SQUEEZING_LEVELS], bool restoring)
{
    tensor *total = NULL;
    if (n->spec.local)
        total = t_mse_loss(unet_run(&n->local, images), described);
    if (!n->spec.global)
        return total;
    tensor *squeezed = squeezing_network_run(&n->squeezing, images, skips);
    total = t_plus(total, t_mse_loss(upscale(n, squeezed), described));
    if (restoring) {
        tensor *wanted = n->spec.detached ? t_detach(squeezed) : squeezed;
        tensor *restored = unet_run(&n->global, images);
        total = t_add(total, t_mean_all(t_square(t_sub(wanted, restored))));
    }
    return total;
}

optimizer_options gcad_adam(double decay, int64_t side)
{
    double positions = (double)(side * side);
    return (optimizer_options){
        .kind = OPTIMIZER_ADAM, .weight_decay = decay / positions, .eps = 1e-8 / positions};
}

static tensor *distance(tensor *a, tensor *b)
{
    return t_norm(t_sub(a, b), 2, 1, false);
}

void gcad_maps(const gcad_networks *n, tensor *images, tensor *out[GCAD_MAPS])
{
    out[0] = out[1] = NULL;
    if (n->spec.local)
        out[0] =
            distance(patch_descriptor_dense(&n->descriptor, images), unet_run(&n->local, images));
    if (n->spec.global)
        out[1] = distance(squeezing_network_run(&n->squeezing, images, NULL),
                          unet_run(&n->global, images));
}
