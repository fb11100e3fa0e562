/*
 * utf8: one step through text that may be damaged. Well-formed sequences as in the Unicode
 * Standard, table 3-7 (no overlong forms, no surrogates, at most U+10FFFF).
 */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include <stddef.h>

enum utf8_kind {
    UTF8_CHARACTER,  /* `length` bytes are one character */
    UTF8_INVALID,    /* `length` bytes can never become a character */
    UTF8_INCOMPLETE, /* `length` bytes are the start of a character, and the text ends there */
};

struct utf8_step {
    enum utf8_kind kind;
    size_t length; /* 1 to 4 */
};

/* Looks at the start of text[n], n > 0. */
static inline struct utf8_step utf8_next(const char *text, size_t n)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t need = s[0] < 0x80 ? 1 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
    if (need == 1)
        return (struct utf8_step){UTF8_CHARACTER, 1};
    if (s[0] < 0xC2 || s[0] > 0xF4)
        return (struct utf8_step){UTF8_INVALID, 1};
    unsigned low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
    unsigned high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < need; i++) {
        if (i == n)
            return (struct utf8_step){UTF8_INCOMPLETE, i};
        if (s[i] < low || s[i] > high)
            return (struct utf8_step){UTF8_INVALID, i};
        low = 0x80, high = 0xBF;
    }
    return (struct utf8_step){UTF8_CHARACTER, need};
}

#endif
