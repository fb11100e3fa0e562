/* terminal: how wide it is, and text that fits. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stddef.h>
#include <stdio.h>

/* Columns: as COLUMNS says, or the terminal behind the descriptor; 0: there is no end of a line. */
int terminal_width(int fd);

/* Columns that a text takes up: UTF-8, escape sequences for colour count nothing. */
size_t terminal_length(const char *text);

/* The words of a text in lines of `width`, 0: one; those that follow the first indented. The first
 * begins after `used` columns. Ends the line. */
void terminal_wrap(FILE *out, const char *text, size_t used, int indent, int width);

#endif
