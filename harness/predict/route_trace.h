/* route_trace: recorded routes of a mixture of experts as a trace of accesses. */
#ifndef ROUTE_TRACE_H
#define ROUTE_TRACE_H

#include "base/status.h"
#include "engine.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct route_line { /* what one token chose in one layer: accesses[first..first+n-1] */
    uint64_t pass;  /* the token, or the pass that it was part of */
    uint64_t first;
    uint32_t layer, n;
};

struct route_trace {
    uint32_t *accesses; /* object = layer * n_experts + expert; malloc */
    uint64_t length;
    struct route_line *lines; /* malloc; those of a pass in a row */
    uint64_t n_lines;
    uint32_t n_layers, n_experts; /* n_experts: of a layer */
    uint32_t n_objects;           /* different ones in the trace */
    uint32_t largest_demand;      /* accesses of a token (of a line's layers in a row), at most */
    uint64_t *bytes; /* [n_layers * n_experts] of each object, where they are known; malloc, or
                      * NULL: all alike */
};

/* Whether the file is routes: its first line begins with "token,layer,", or is that of routes.csv
 * or of a cache simulator's csv. */
bool route_trace_is(const char *path);
/* Reads any of these: lines of token,layer,expert,expert,... ; the routes.csv of a result, of one
 * cell (NULL: the first) and its first repetition; time,object,size,... of any objects, which then
 * are experts of one layer, numbered in the order in which they come, each time a pass. */
enum lb_status route_trace_read(const char *path, const char *cell, struct route_trace *trace,
                                struct lb_error *err);
/* The same access by access, so that its length costs no memory. */
struct route_access {
    uint64_t pass;
    uint32_t layer, expert;
    bool begins;    /* a line */
    uint64_t bytes; /* of the object; 0: not known */
};
struct route_sink {
    enum lb_status (*take)(void *ctx, const struct route_access *access, struct lb_error *err);
    void *ctx;
};
struct route_extent {
    uint64_t length;
    uint32_t n_layers, n_experts, largest_demand; /* as in route_trace */
};
enum lb_status route_trace_scan(const char *path, const char *cell, const struct route_sink *sink,
                                struct route_extent *extent, struct lb_error *err);
/* Of a synthetic model: what its routers choose for n_tokens random tokens, the model run in
 * memory, a pass for each token. */
enum lb_status route_trace_run(const char *model_path, uint32_t n_tokens, struct route_trace *trace,
                               struct lb_error *err);
/* Of any mixture: what its routers choose in decode passes with the settings, each token the
 * likeliest after a short random prompt; up to n_passes of them, fewer where they take long. */
enum lb_status route_trace_decode(const struct lb_options *options, uint32_t n_passes,
                                  struct route_trace *trace, struct lb_error *err);
/* Drawn from the law that they were made by: of so many sequences a prompt of so many tokens (0:
 * none), then passes; each checks `tokens` of a sequence and moves on by `yield` of them.
 * LB_ERR_INPUT: no mixture. */
struct route_drawing {
    uint32_t sequences, prompt, passes, tokens;
    double yield;
};
enum lb_status route_trace_draw(const struct lb_synth *synth, const struct route_drawing *how,
                                struct route_trace *trace, struct lb_error *err);
/* Of recorded routes, in any order: they are sorted by pass, layer, sequence, position, place. */
enum lb_status route_trace_of(struct lb_route *routes, size_t n, struct route_trace *trace,
                              struct lb_error *err);
void route_trace_free(struct route_trace *trace);

/* ---- route_formats.c ---- */

#define ROUTE_CACHESIM_HEADER "time,object,size"
/* The third of these, from the line after its header on; path is for messages. */
enum lb_status route_trace_scan_cachesim(const char *path, FILE *in, const struct route_sink *sink,
                                         struct route_extent *extent, struct lb_error *err);
/* The bytes of each expert in a model's file. LB_ERR_INPUT: the model has no such expert. */
enum lb_status route_trace_weigh(struct route_trace *trace, const char *model_path,
                                 struct lb_error *err);
/* As libCacheSim reads it, one access a line: time (the pass), object (layer * experts of a layer +
 * expert), size in bytes (1 where they are not known), number of the object's next access or -1. */
enum lb_status route_trace_write_cachesim(const struct route_trace *trace, FILE *out,
                                          struct lb_error *err);
/* token,layer,expert,expert,... */
void route_trace_write_plain(const struct route_trace *trace, FILE *out);

#endif
