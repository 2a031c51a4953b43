#include <imiad/imiad.h>
#include <math.h>
/* three images of 2 x 2: a good one, and one of each kind whose first pixel is defective */
enum { images = 3, width = 2, height = 2 };
static uint8_t truth[4] = {255, 0, 0, 0};
static const float map[images][4] = {
    {0.1f, 0.2f, 0.1f, 0.3f}, {0.9f, 0.2f, 0.1f, 0.2f}, {0.8f, 0.2f, 0.1f, 0.2f}};
static const double score[images] = {0.3, 0.9, 0.8};
static const imiad_spro_kind kind[images] = {IMIAD_SPRO_GOOD, IMIAD_SPRO_STRUCTURAL, IMIAD_SPRO_LOGICAL};
static const size_t channel_count[images] = {0, 1, 1};
int main(void)
{
    const imiad_image mask = {sizeof mask, IMIAD_PIXEL_GRAY8, width, height, width, truth};
    const imiad_spro_channel one = {&mask, 1, 0};
    const imiad_spro_channel *const channels[images] = {NULL, &one, &one};
@BLOCK@
    return fabs(area - 1) < 1e-12 ? 0 : 1;
}
