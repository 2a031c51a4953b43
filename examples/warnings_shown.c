#include "warnings_shown.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "imiad/imiad.h"

enum { MOST_SHOWN = 256 };

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static uint64_t shown[MOST_SHOWN];
static int shown_count;

static uint64_t digest(const char *text) /* FNV-1a */
{
    uint64_t value = 0xCBF29CE484222325;
    for (; *text; ++text)
        value = (value ^ (unsigned char)*text) * 0x100000001B3;
    return value;
}

static bool is_new(const char *message)
{
    uint64_t value = digest(message);
    for (int i = 0; i < shown_count; ++i)
        if (shown[i] == value)
            return false;
    shown[shown_count++] = value;
    return true;
}

static void show(void *user, imiad_log_level level, const char *message)
{
    (void)user;
    if (level < IMIAD_LOG_WARNING)
        return;
    pthread_mutex_lock(&guard);
    if (shown_count < MOST_SHOWN && is_new(message))
        fprintf(stderr, "warning: %s%s\n", message,
                shown_count == MOST_SHOWN ? "; further ones are not shown" : "");
    pthread_mutex_unlock(&guard);
}

void show_warnings(void)
{
    imiad_set_log(show, NULL);
}
