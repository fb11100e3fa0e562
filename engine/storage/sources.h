/*
 * sources: a file and its copies, on drives of their own: the same bytes from any of them.
 */
#ifndef STORAGE_SOURCES_H
#define STORAGE_SOURCES_H

#include "storage/source.h"

struct sources {
    struct source of[STORAGE_COPIES]; /* by storage_read.copy */
    uint32_t n;
};

/* Of a file and the copies in such a list. */
uint32_t sources_count(const char *copies);
/* path, then the paths in `copies` (comma-separated; NULL or "": none). Errors as of source_open;
 * LB_ERR_INPUT also: too many, or one that differs in its size or in samples of its bytes. */
enum lb_status sources_open(const char *path, const char *copies, bool direct,
                            struct sources *sources, struct lb_error *err);
void sources_close(struct sources *sources);

#endif
