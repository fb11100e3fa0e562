/* shell_word: a word as a shell takes it: as it is, or between quotes. */
#ifndef SHELL_WORD_H
#define SHELL_WORD_H

#include <stdio.h>

void shell_word(const char *word, FILE *out);

#endif
