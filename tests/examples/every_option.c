/* Prints every option of every detector, a line each: DETECTOR OPTION DEFAULT. */
#include <imiad/imiad.h>
#include <stdio.h>

int main(void)
{
    const char *name;
    for (size_t d = 0; (name = imiad_detector_type_name(d)) != NULL; ++d) {
        imiad_option_info info = IMIAD_OPTION_INFO_INIT;
        for (size_t i = 0; imiad_detector_option_info(&info, name, i) == IMIAD_OK; ++i)
            printf("%s %s %s\n", name, info.name, info.default_value);
    }
    return 0;
}
