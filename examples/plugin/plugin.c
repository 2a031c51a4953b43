/* What this shared object brings: two detectors and a dataset. imiad_plugin_load calls the function
 * below; a program that links the files in calls it itself. */
#include "example.h"

#ifdef __GNUC__
__attribute__((visibility("default")))
#endif
imiad_status
imiad_plugin_register(void);

imiad_status imiad_plugin_register(void)
{
    imiad_status status = register_mean_feature();
    if (status == IMIAD_OK)
        status = register_pixel_classifier();
    return status == IMIAD_OK ? register_stripes() : status;
}
