/*
 * chat_format: messages of a user as the model's chat template writes them. Templates are programs
 * (Jinja); they are not run, but told apart by the marks that they put.
 */
#ifndef TEXT_CHAT_FORMAT_H
#define TEXT_CHAT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

struct chat_format {
    const char *name;
    const char *before, *after; /* the message; what stands after it begins the answer */
    const char *end;            /* of an answer: a token, which the model draws */
    const char *between;        /* this and the next message's `before` */
    const char *system[2];      /* before and after a system message: ahead of the first message, */
    bool system_inside;         /* or in it, after its `before` */
};

/* NULL: not one of the known formats. */
const struct chat_format *chat_find(const char *template_text);
/* The i-th known format, or NULL past the end. */
const struct chat_format *chat_at(size_t i);

#endif
