/* The letters of the stroke font: ASCII, the Latin alphabets made of a letter and a mark, and the
 * signs that names and titles use. */
#include "image/letters.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Glyphs from ' ' to '~'. The notation is that of text.c. */
static const char *const glyphs[95] = {
    "",
    "00L0a 0e",                                     /* ! */
    "00L04 30L34",                                  /* " */
    "30L1e 80L6e 05L95 0aL9a",                      /* # */
    "93Q8050H03Q0647Q989bV5eQ1e0b 50L5e",           /* $ */
    "a0L0e 20H02V24H42V20 8aH6cV8eHacV8a",          /* % */
    "aeL24L23V40H63Q6537Q090bV3eQ8e98",             /* & */
    "00L04",                                        /* ' */
    "40Q0408Q0c4g",                                 /* ( */
    "00Q4448Q4c0g",                                 /* ) */
    "30L38 02L66 62L06",                            /* * */
    "44L4c 08L88",                                  /* + */
    "1dL1eL0g",                                     /* , */
    "08L68",                                        /* - */
    "0e",                                           /* . */
    "60L0g",                                        /* / */
    "40H05L09V4eH89L85V40",                         /* 0 */
    "13L40L4e 1eL7e",                               /* 1 */
    "04V40H84Q8759L0eL8e",                          /* 2 */
    "03Q1040H73V46 26L46H8aV4eQ1e0b",               /* 3 */
    "6eL60L0aL8a",                                  /* 4 */
    "70L10L07Q1545H89L8aV4eQ1e0b",                  /* 5 */
    "72Q6040H06L0aV4eH8aL89V45H09",                 /* 6 */
    "00L80L3e",                                     /* 7 */
    "40H13V46H73V40 46H0aV4eH8aV46",                /* 8 */
    "1cQ2e4eH88L84V40H04L05V49H85",                 /* 9 */
    "06 0e",                                        /* : */
    "16 1dL1eL0g",                                  /* ; */
    "84L08L8c",                                     /* < */
    "06L86 0aL8a",                                  /* = */
    "04L88L0c",                                     /* > */
    "03V40H84Q8748L4a 4e",                          /* ? */
    "bfQag7gH08V70He8QecbcQacaaLa5 75H48V7bHa8V75", /* @ */
    "0eL50Lae 29L89",                               /* A */
    "0eL00L50H83L84V57L07 57H9aL9bV5eL0e",          /* B */
    "a3Q9050H05L09V5eQ9eab",                        /* C */
    "0eL00L40Ha6La8V4eL0e",                         /* D */
    "80L00L0eL8e 07L67",                            /* E */
    "80L00L0e 07L67",                               /* F */
    "a3Q9050H05L09V5eHaaLa8L68",                    /* G */
    "00L0e 90L9e 07L97",                            /* H */
    "00L0e",                                        /* I */
    "60L6aV3eH0b",                                  /* J */
    "00L0e 90L09 36L9e",                            /* K */
    "00L0eL8e",                                     /* L */
    "0eL00L6aLc0Lce",                               /* M */
    "0eL00L9eL90",                                  /* N */
    "50H05L09V5eHa9La5V50",                         /* O */
    "0eL00L50H94V58L08",                            /* P */
    "50H05L09V5eHa9La5V50 6aLae",                   /* Q */
    "0eL00L50H94V58L08 48L9e",                      /* R */
    "93Q8050H03Q0647Q989bV5eQ1e0b",                 /* S */
    "00La0 50L5e",                                  /* T */
    "00L09V5eHa9La0",                               /* U */
    "00L5eLa0",                                     /* V */
    "00L3eL72LbeLe0",                               /* W */
    "00L9e 90L0e",                                  /* X */
    "00L57La0 57L5e",                               /* Y */
    "00L90L0eL9e",                                  /* Z */
    "40L00L0gL4g",                                  /* [ */
    "00L6g",                                        /* \ */
    "00L40L4gL0g",                                  /* ] */
    "05L40L85",                                     /* ^ */
    "0gL9g",                                        /* _ */
    "00L23",                                        /* ` */
    "16Q2545H78L7e 79L39H0bL0cV2eQ6e7b",            /* a */
    "00L0e 45H09L0aV4eH8aL89V45",                   /* b */
    "87Q7545H09L0aV4eQ7e8c",                        /* c */
    "80L8e 45H09L0aV4eH8aL89V45",                   /* d */
    "09L89V45H09L0aV4eQ7e8c",                       /* e */
    "60L50H23L2e 05L55",                            /* f */
    "85L8fV4iQ1i0h 45H09L0aV4eH8aL89V45",           /* g */
    "00L0e 09V45H79L7e",                            /* h */
    "05L0e 01",                                     /* i */
    "25L2fV0i 21",                                  /* j */
    "00L0e 75L0b 38L8e",                            /* k */
    "00L0bV3e",                                     /* l */
    "05L0e 08V35H68L6e 68V95Hc8Lce",                /* m */
    "05L0e 09V45H79L7e",                            /* n */
    "45H09L0aV4eH8aL89V45",                         /* o */
    "05L0i 45H09L0aV4eH8aL89V45",                   /* p */
    "85L8i 45H09L0aV4eH8aL89V45",                   /* q */
    "05L0e 09V45L55",                               /* r */
    "77Q6545H07Q0949Q797cV4eQ1e0c",                 /* s */
    "21L2bV5eL6e 05L65",                            /* t */
    "05L0aV3eH7a 75L7e",                            /* u */
    "05L4eL85",                                     /* v */
    "05L3eL66L9eLc5",                               /* w */
    "05L7e 75L0e",                                  /* x */
    "05L4e 85L2i",                                  /* y */
    "05L75L0eL7e",                                  /* z */
    "50H23L26Q2808Q282aL2dV5g",                     /* { */
    "00L0g",                                        /* | */
    "00H33L36Q3858Q383aL3dV0g",                     /* } */
    "09Q1648Q7a87",                                 /* ~ */
};

/* U+00C0 to U+017F: a letter and its mark; two spaces where the letter is one of the signs. */
static const char composed[] = "A`A'A^A~A:Ao  C,E`E'E^E:I`I'I^I:"
                               "  N~O`O'O^O~O:    U`U'U^U:Y'    "
                               "a`a'a^a~a:ao  c,e`e'e^e:i`i'i^i:"
                               "  n~o`o'o^o~o:    u`u'u^u:y'  y:"
                               "A-a-AuauA;a;C'c'C^c^C.c.CvcvDvdv"
                               "    E-e-EueuE.e.E;e;EvevG^g^Gugu"
                               "G.g.G,g,H^h^    I~i~I-i-IuiuI;i;"
                               "I.      J^j^K,k,  L'l'L,l,Lvlv  "
                               "      N'n'N,n,Nvnv      O-o-Ouou"
                               "O\"o\"    R'r'R,r,RvrvS's'S^s^S,s,"
                               "SvsvT,t,Tvtv    U~u~U-u-UuuuUouo"
                               "U\"u\"U;u;W^w^Y^y^Y:Z'z'Z.z.Zvzv  ";
enum { FIRST_COMPOSED = 0xC0, LAST_COMPOSED = 0x17F };

/* What is not made of a letter and a mark. */
static const struct {
    uint32_t character;
    const char *strokes;
} signs[] = {
    {0xA0, ""},                                                         /* a space that holds */
    {0xA1, "00 04L0e"},                                                 /* inverted ! */
    {0xA7, "72Q6040H02Q0338Q6a6bQ6e4eQ1e0d 25Q0404Q0648"},              /* section */
    {0xAB, "86L4aL8e 46L0aL4e"},                                        /* << */
    {0xB0, "20H42V24H02V20"},                                           /* degree */
    {0xB1, "43L4b 07L87 0eL8e"},                                        /* plus minus */
    {0xB2, "01V20H42Q3306L46"},                                         /* squared */
    {0xB3, "00L40L22H44V26Q1605"},                                      /* cubed */
    {0xB4, "20L03"},                                                    /* acute */
    {0xB5, "05L0i 0aV3eH7a 75L7e"},                                     /* micro */
    {0xB7, "08"},                                                       /* middle dot */
    {0xBB, "06L4aL0e 46L8aL4e"},                                        /* >> */
    {0xC6, "0eL60L6e 60Le0 67Ld7 6eLee 39L69"},                         /* AE */
    {0xD0, "20L60Hc6Lc8V6eL2eL20 07L77"},                               /* Eth */
    {0xD7, "05L8d 85L0d"},                                              /* times */
    {0xD8, "50H05L09V5eHa9La5V50 0eLa0"},                               /* O stroke */
    {0xDE, "00L0e 03L53H97V5bL0b"},                                     /* Thorn */
    {0xDF, "0eL04V30H63V46H89V4eL3e"},                                  /* sharp s */
    {0xE6, "16Q2535H68L6b 69L39H0bL0cV2eQ5e6b 69Le9Va5H69L6aVaeQdeec"}, /* ae */
    {0xF0, "45H09L0aV4eH8aL87Q8310 71L14 89V45"},                       /* eth */
    {0xF7, "08L88 44 4c"},                                              /* divided */
    {0xF8, "45H09L0aV4eH8aL89V45 0eL85"},                               /* o stroke */
    {0xFE, "00L0i 45H09L0aV4eH8aL89V45"},                               /* thorn */
    {0x110, "20L60Hc6Lc8V6eL2eL20 07L77"},                              /* D stroke */
    {0x111, "80L8e 45H09L0aV4eH8aL89V45 53Lb3"},                        /* d stroke */
    {0x126, "10L1e a0Lae 17La7 03Lb3"},                                 /* H stroke */
    {0x127, "10L1e 19V55H89L8e 03L53"},                                 /* h stroke */
    {0x131, "05L0e"},                                                   /* i without its dot */
    {0x132, "00L0e b0Lb9V8eH5b"},                                       /* IJ */
    {0x133, "05L0e 01 65L6fV4iQ3i2h 61"},                               /* ij */
    {0x138, "05L0e 75L0b 38L8e"},                                       /* kra */
    {0x13F, "00L0eL8e 57"},                                             /* L dot */
    {0x140, "00L0bV3e 57"},                                             /* l dot */
    {0x141, "20L2eLae 0aL76"},                                          /* L stroke */
    {0x142, "20L2bV5e 0aL56"},                                          /* l stroke */
    {0x149, "20L04 45L4e 49V85Hb9Lbe"},                                 /* 'n */
    {0x14A, "00L0e 90L9fV6i 00L9e"},                                    /* Eng */
    {0x14B, "05L0e 09V45H79L7fV5iQ4i3h"},                               /* eng */
    {0x152, "60H05L09V6eLee 60Le0 60L6e 67Ld7"},                        /* OE */
    {0x153, "45H09L0aV4eH8aL89V45 89Lg9Vc5H89L8aVceQfegc"},             /* oe */
    {0x166, "00La0 50L5e 27L87"},                                       /* T stroke */
    {0x167, "21L2bV5eL6e 05L65 09L59"},                                 /* t stroke */
    {0x17F, "50H23L2e 25L05"},                                          /* long s */
    {0x2013, "08L88"},                                                  /* en dash */
    {0x2014, "08Lc8"},                                                  /* em dash */
    {0x2018, "00L24"},                                                  /* opening quote */
    {0x2019, "20L04"},                                                  /* closing quote */
    {0x201A, "2dL0g"},                                                  /* low quote */
    {0x201C, "00L24 40L64"},                                            /* opening quotes */
    {0x201D, "20L04 60L44"},                                            /* closing quotes */
    {0x201E, "2dL0g 6dL4g"},                                            /* low quotes */
    {0x2022, "18"},                                                     /* bullet */
    {0x2026, "0e 4e 8e"},                                               /* ellipsis */
    {0x20AC, "b3Qa070H36L38V7eQaebb 06L86 08L88"},                      /* euro */
    {0x2212, "08L88"},                                                  /* minus */
};

/* Marks stand in rows 0 to 4 above a small letter; below a letter they begin at its foot. */
static const struct {
    char name;
    uint16_t combining; /* the character that puts it on the letter before */
    const char *strokes;
    bool below;
} marks[] = {
    {'`', 0x300, "00L33", false},
    {'\'', 0x301, "30L03", false},
    {'^', 0x302, "03L20L43", false},
    {'~', 0x303, "02Q1021Q3240", false},
    {'-', 0x304, "02L42", false},
    {'u', 0x306, "00V23H40", false},
    {'.', 0x307, "01", false},
    {':', 0x308, "01 41", false},
    {'o', 0x30A, "20H42V24H02V20", false},
    {'"', 0x30B, "20L03 60L43", false},
    {'v', 0x30C, "00L23L40", false},
    {',', 0x327, "20L32Q4404", true},
    {';', 0x328, "20Q0204L24", true},
};
enum { MARKS = sizeof marks / sizeof *marks, BELOW = 14, ABOVE_CAPITAL = -5 };

static const char empty_box[] = "00L80L8eL0eL00";

const char *letter_ascii(char character)
{
    unsigned index = (unsigned char)character - 32u;
    return glyphs[index < 95 ? index : '?' - 32];
}

/* ---- UTF-8 ---- */

/* The length of the character at `text` (RFC 3629); 0 where its bytes are no UTF-8. */
static int decode(uint32_t *out, const char *text)
{
    const uint8_t *b = (const uint8_t *)text;
    int length = b[0] < 0x80 ? 1 : b[0] < 0xC2 ? 0 : b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
    if (length == 0 || b[0] > 0xF4)
        return 0;
    static const uint8_t first_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    uint32_t value = b[0] & first_bits[length];
    for (int i = 1; i < length; ++i) {
        if ((b[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (b[i] & 0x3F);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
        return 0;
    *out = value;
    return length;
}

int letters_within(const char *text, int bytes)
{
    int used = 0;
    while (text[used]) {
        uint32_t character;
        int length = decode(&character, text + used);
        length = length ? length : 1;
        if (used + length > bytes)
            break;
        used += length;
    }
    return used;
}

/* ---- letters and their marks ---- */

static void put_mark(letter *l, int mark, bool on_capital)
{
    l->mark = marks[mark].strokes;
    l->mark_drop = marks[mark].below ? BELOW : on_capital ? ABOVE_CAPITAL : 0;
}

static bool is_high(char base)
{
    return (base >= 'A' && base <= 'Z') || strchr("bdfhklt", base);
}

/* A letter without the dot that its mark replaces. */
static letter plain_letter(char base, bool dotless)
{
    if (dotless && (base == 'i' || base == 'j'))
        return (letter){base == 'i' ? "05L0e" : "25L2fV0i", NULL, 0};
    return (letter){letter_ascii(base), NULL, 0};
}

static letter composed_letter(char base, char mark_name)
{
    letter l = {empty_box, NULL, 0};
    for (int i = 0; i < MARKS; ++i)
        if (marks[i].name == mark_name) {
            l = plain_letter(base, !marks[i].below);
            put_mark(&l, i, is_high(base));
        }
    return l;
}

static letter find_letter(uint32_t character)
{
    if (character < 0x80)
        return plain_letter((char)character, false);
    if (character >= FIRST_COMPOSED && character <= LAST_COMPOSED) {
        const char *pair = composed + 2 * (character - FIRST_COMPOSED);
        if (pair[0] != ' ')
            return composed_letter(pair[0], pair[1]);
    }
    for (size_t i = 0; i < sizeof signs / sizeof *signs; ++i)
        if (signs[i].character == character)
            return (letter){signs[i].strokes, NULL, 0};
    return (letter){empty_box, NULL, 0};
}

letter letter_next(const char **text)
{
    uint32_t character, next;
    int length = decode(&character, *text);
    if (length == 0) {
        ++*text;
        return plain_letter('?', false);
    }
    *text += length;
    letter l = find_letter(character);
    while ((length = decode(&next, *text)) > 0 && next >= 0x300 && next < 0x370) {
        for (int i = 0; i < MARKS; ++i)
            if (marks[i].combining == next && character < 0x80) {
                l = plain_letter((char)character, !marks[i].below);
                put_mark(&l, i, is_high((char)character));
            }
        *text += length;
    }
    return l;
}
