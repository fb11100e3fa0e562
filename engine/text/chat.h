/*
 * chat: one message of a user as the model's chat template writes it. Templates are programs
 * (Jinja); they are not run, but told apart by the marks that they put.
 */
#ifndef TEXT_CHAT_H
#define TEXT_CHAT_H

struct chat_format {
    const char *name;
    const char *before, *after; /* the message; what stands after it begins the answer */
};

/* NULL: not one of the known formats. */
const struct chat_format *chat_find(const char *template_text);

#endif
