/*
 * option: what one option is called, takes and means, and how its text becomes a field.
 *
 * The same description serves the command line (cache_layers is --cache-layers there), the
 * scenario reader, the results and the help text. An option writes into a field of a struct, at
 * `offset`, whose type follows from the kind. Texts are not copied: they must outlive the struct.
 */
#ifndef OPTION_H
#define OPTION_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
    OPTION_FLAG,      /* bool; takes no value on the command line */
    OPTION_BOOL,      /* bool */
    OPTION_TEXT,      /* const char * */
    OPTION_CHOICE,    /* const char *, one of `choices` or of the engine's list `choice_kind` */
    OPTION_COUNT,     /* uint32_t */
    OPTION_COUNT64,   /* uint64_t */
    OPTION_REAL,      /* double */
    OPTION_SIZE,      /* uint64_t, bytes */
    OPTION_SIZE32,    /* uint32_t, bytes */
    OPTION_BANDWIDTH, /* double, bytes/s */
    OPTION_DURATION,  /* int64_t, ns */
    OPTION_CUSTOM,    /* anything: the hooks below */
};

enum { OPTION_LONGEST = 4096 }; /* bytes of an option's text with its end: a path, a list */

enum option_flag {
    OPTION_HIDDEN = 1,    /* works, but is not shown by --help */
    OPTION_RUN_ONLY = 2,  /* part of a benchmark's work, not of an engine */
    OPTION_STREAMING = 4, /* how layers get to the computation, and tokens are guessed: changes no
                           * result */
    OPTION_MACHINE = 8,   /* what the computation runs on: times of different ones do not compare */
    OPTION_TASK = 16,  /* what there is to do, and with what: not a setting to choose for speed */
    OPTION_FILE = 32,  /* a text that is a path */
    OPTION_FILES = 64, /* paths with commas between them */
};

struct option {
    const char *name;  /* "cache_layers" */
    const char *value; /* what --help calls the value: "N" */
    const char *about;
    enum option_kind kind;
    size_t offset;
    char letter; /* 'o' for -o; 0: none */
    unsigned flags;
    double min, max;            /* numbers; max 0: as large as the field holds */
    const char *const *words;   /* names for the numbers 0, 1, ...; NULL-terminated, or NULL */
    const char *const *choices; /* NULL-terminated, or NULL */
    const char *choice_kind;    /* for lb_choice_at(), or NULL */
    const char *unit;           /* of a number that is no size; NULL: none */
    /* OPTION_CUSTOM: set gives false for a text that is not understood */
    bool (*set)(void *target, const char *text);
    void (*format)(const void *target, char *text, size_t size);
    const char *expected;
};

/* Sets the option's field in *target from a text shorter than OPTION_LONGEST. The error says what
 * came and what was expected; where it stood is for the caller to put in front (lb_error_prefix).
 */
enum lb_status option_set(const struct option *option, void *target, const char *text,
                          struct lb_error *err);

/* The field as text that option_set() understands; "" for a text that is not set. */
void option_format(const struct option *option, const void *target, char *text, size_t size);

/* "a whole number of at least 1, or 'auto'" */
void option_expected(const struct option *option, char *text, size_t size);

/* Of bytes. */
bool option_is_size(const struct option *option);

/* By name, with '-' and '_' taken as the same; NULL when there is none. */
const struct option *option_find(const struct option *options, size_t count, const char *name);

#endif
