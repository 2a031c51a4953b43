#include "detectors/parts/pdn_autoencoder.h"

static const char *const encoder_names[PDN_ENCODER] = {"0", "2", "4", "6", "8", "10"};
static const char *const decoder_names[PDN_DECODER] = {"12", "16", "20", "24", "28", "32"};
static const char *const last_names[PDN_LAST] = {"36", "38"};

enum {
    STRIDE = 32 /* of the code before its last convolution */,
    WHOLE = 8 /* positions at 256 */
};

static int code_kernel(int64_t side)
{
    return (int)(side / STRIDE < WHOLE ? side / STRIDE : WHOLE);
}

pdn_autoencoder pdn_autoencoder_add(const builder *b, int64_t width, int64_t outputs, int64_t side,
                                    int64_t positions)
{
    pdn_autoencoder a = {.side = side, .positions = positions};
    int64_t thin = width / 4, thick = width / 2, before = 3;
    for (int i = 0; i < PDN_ENCODER; ++i) {
        conv2d_spec spec = {.inputs = before,
                            .outputs = i < 2 ? thin : thick,
                            .kernel = 4,
                            .stride = 2,
                            .padding = 1,
                            .bias = true};
        if (i + 1 == PDN_ENCODER) {
            spec.kernel = code_kernel(side);
            spec.stride = 1;
            spec.padding = 0;
        }
        a.encode[i] = conv2d_add(b, encoder_names[i], spec);
        before = spec.outputs;
    }
    for (int i = 0; i < PDN_DECODER; ++i)
        a.decode[i] = conv2d_add(
            b, decoder_names[i],
            (conv2d_spec){
                .inputs = thick, .outputs = thick, .kernel = 4, .padding = 2, .bias = true});
    for (int i = 0; i < PDN_LAST; ++i)
        a.last[i] = conv2d_add(b, last_names[i],
                               (conv2d_spec){.inputs = thick,
                                             .outputs = i + 1 < PDN_LAST ? thick : outputs,
                                             .kernel = 3,
                                             .padding = 1,
                                             .bias = true});
    return a;
}

/* 3, 8, 15, 32, 63 and 127 of an image of 256 pixels; for other sides as anomalib has them. */
static int64_t enlarged(int64_t side, int i)
{
    int64_t positions = side / (64 >> i) - (i % 2 == 0 || i == PDN_DECODER - 1);
    return positions > 1 ? positions : 1;
}

tensor *pdn_autoencoder_run(const pdn_autoencoder *a, tensor *x, bool learning)
{
    for (int i = 0; i < PDN_ENCODER; ++i) {
        x = conv2d_run(&a->encode[i], x);
        if (i + 1 < PDN_ENCODER)
            x = activate_(x, RELU);
    }
    for (int i = 0; i < PDN_DECODER; ++i) {
        int64_t side = enlarged(a->side, i);
        x = t_interpolate(x, side, side, BILINEAR, false);
        x = activate_(conv2d_run(&a->decode[i], x), RELU);
        if (learning && a->dropout > 0)
            x = t_dropout(x, a->dropout, true);
    }
    x = t_interpolate(x, a->positions, a->positions, BILINEAR, false);
    x = activate_(conv2d_run(&a->last[0], x), RELU);
    return conv2d_run(&a->last[1], x);
}
