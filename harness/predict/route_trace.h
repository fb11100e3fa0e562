/* route_trace: recorded routes of a mixture of experts as a trace of accesses. */
#ifndef ROUTE_TRACE_H
#define ROUTE_TRACE_H

#include "base/status.h"
#include "engine.h"

#include <stdbool.h>
#include <stdint.h>

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
};

/* Whether the file is routes: its first line begins with "token,layer," or is that of routes.csv.
 */
bool route_trace_is(const char *path);
/* Reads either: lines of token,layer,expert,expert,... , or the routes.csv of a result, of one cell
 * (NULL: the first) and its first repetition. */
enum lb_status route_trace_read(const char *path, const char *cell, struct route_trace *trace,
                                struct lb_error *err);
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

#endif
