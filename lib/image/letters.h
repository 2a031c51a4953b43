/* The letters of the stroke font: from UTF-8 to strokes. */
#ifndef IMAGE_LETTERS_H
#define IMAGE_LETTERS_H

#include <stdint.h>

/* The strokes of one letter, in the notation that text.c describes, and of the mark that stands
 * above or below it. */
typedef struct letter {
    const char *strokes;
    const char *mark; /* NULL where there is none */
    int mark_drop;    /* how far below its own place the mark is drawn; negative: above */
} letter;

/* Takes the next letter off UTF-8 text, with the combining marks that follow it. Letters of Latin
 * alphabets have a shape of their own. Other characters become an empty box; bytes that are not
 * UTF-8 and control characters become a question mark. */
letter letter_next(const char **text);

/* The strokes of a character from ' ' to '~'. */
const char *letter_ascii(char character);

/* The length of the longest beginning of the text that has at most `bytes` bytes and cuts no
 * character in two. */
int letters_within(const char *text, int bytes);

#endif
