#include "wrapped.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 80 };

void print_wrapped(const char *text, int indent, int printed)
{
    int column = printf("%*s", printed < indent ? indent - printed : 0, "") + printed;
    bool begun = false; /* whether the line has a word */
    for (const char *word = text + strspn(text, " "); *word;) {
        int length = (int)strcspn(word, " ");
        if (begun && column + 1 + length > COLUMNS) {
            column = printf("\n%*s", indent, "") - 1;
            begun = false;
        }
        column += printf("%s%.*s", begun ? " " : "", length, word);
        begun = true;
        word += length;
        word += strspn(word, " ");
    }
    printf("\n");
}
