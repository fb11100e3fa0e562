/*
 * text_table: a table for people that fits the width there is: where all columns are too many,
 * those that tell least are left out, and a line says which.
 */
#ifndef TEXT_TABLE_H
#define TEXT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TEXT_TABLE_ALWAYS = 0 };

struct text_column {
    const char *title; /* on two lines where that is narrower */
    bool left;
    int leaves; /* the column with the highest number leaves first; TEXT_TABLE_ALWAYS: none does */
};

struct text_table {
    const struct text_column *columns; /* lent */
    size_t n_columns, n_rows;
    char **texts; /* of row and column; NULL: none */
    char **rest;  /* of a row: in place of the columns that it lacks, or on a line of its own */
};

/* False: out of memory. Free it in any case. */
bool text_table_open(struct text_table *table, const struct text_column *columns, size_t n_columns,
                     size_t n_rows);
void text_table_put(struct text_table *table, size_t row, size_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* One more line of the row's rest. */
void text_table_say(struct text_table *table, size_t row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* width 0: all columns. elsewhere: what the line about those left out ends with, or NULL: none. */
void text_table_print(const struct text_table *table, int width, const char *elsewhere, FILE *out);
void text_table_free(struct text_table *table);

#endif
