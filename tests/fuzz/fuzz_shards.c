/* Indices of weights in several files: whatever the bytes, no name leads out of the folder. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "weights/weights_file.h"

#define SEED_OF(text)                                                                              \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

const fuzz_seed fuzz_seeds[] = {
    SEED_OF("{\"metadata\":{\"total_size\":8},\"weight_map\":{\"a\":\"m-1.safetensors\","
            "\"b.c\":\"m-2.safetensors\"}}"),
    SEED_OF("{\"weight_map\":{\"a\":\"../m.safetensors\"}}"),
    SEED_OF("{\"weight_map\":{}}"),
    {NULL, 0},
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    shard_list list;
    const char *name;
    json_t *file;
    if (size > 1 << 16 || shard_list_read(&list, bytes, size, "fuzzed") != IMIAD_OK)
        return 0;
    json_object_foreach(list.map, name, file)
    {
        const char *text = json_string_value(file);
        if (!text || !text[0] || strchr(text, '/') || text[0] == '.')
            abort();
    }
    shard_list_free(&list);
    return 0;
}
