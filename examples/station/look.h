/* A look at an image before anything is learned from it or said of it: its size, whether there is
 * anything in it, and whether two images are one. */
#ifndef STATION_LOOK_H
#define STATION_LOOK_H

#include <imiad/imiad.h>
#include <jansson.h>
#include <stdbool.h>

/* What may be doubtful about one image: bits of a set. */
enum {
    DOUBT_CONSTANT = 1,  /* all pixels are equal, or hardly differ */
    DOUBT_DARK = 2,      /* near black */
    DOUBT_8_BITS = 4,    /* 16 bits a value, of which the lower 8 would do */
    DOUBT_12_BITS = 8,   /* the lower 12 would do */
    DOUBT_SIZE = 16,     /* smaller or larger than what was learned */
    DOUBT_CHANNELS = 32, /* grey where colour was learned, or the other way round */
    DOUBT_BORDER = 64    /* part of it is not looked at */
};
enum { DOUBTS = 7, THUMB = 32 };

typedef struct look {
    int32_t width, height, channels;
    uint64_t digest;              /* of size and pixels */
    uint8_t thumb[THUMB * THUMB]; /* the image in small and grey */
    unsigned doubts;
} look;

/* How a station reads images, whether it learns from them or judges them: at their full depth, in
 * the range and orientation that the dataset was told. "" stands for the option's default. */
imiad_decode_options look_decoding(const char *range, const char *orientation);

imiad_status look_at(look *out, const imiad_image *image, const char *path);

/* How unlike two images are: the mean difference of their thumbs, 0..255. */
double look_difference(const look *a, const look *b);

/* Below which difference two of such images are taken for one, saved twice: a share of what two
 * photographs of this kind of part usually differ by. */
double look_near_limit(const look *const *looks, size_t count);

/* The range of what was learned. */
typedef struct learned_range {
    int32_t width[2], height[2]; /* least and greatest; 0 where nothing is known */
    bool gray, color;
} learned_range;
void range_add(learned_range *range, const look *l);
unsigned range_doubts(const learned_range *range, const look *l);

/* A doubt's name in a record ("near_black"), and in words. bit: 0..DOUBTS-1. */
const char *doubt_name(int bit);
const char *doubt_words(int bit);
/* The names of a set, or NULL where it is empty. */
json_t *doubt_names(unsigned doubts);

#endif
