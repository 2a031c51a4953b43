/* What this shared object brings: a detector and a dataset. imiad_plugin_load calls the function
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
    return status == IMIAD_OK ? register_stripes() : status;
}
