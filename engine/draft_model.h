/*
 * draft_model: a second engine, all in memory, that draws what the first may draw next. It computes
 * with the threads of the first.
 *
 * It draws with the random numbers of the places, as the first does: where the two models agree
 * well, so do their tokens, at any temperature.
 */
#ifndef ENGINE_DRAFT_MODEL_H
#define ENGINE_DRAFT_MODEL_H

#include "engine.h"
#include "text/sampler.h"

/* The text of a sequence, as the decoder knows it, and the draft that is asked for. */
struct draft_request {
    const int32_t *text; /* [n], the last of them not fed to the target yet */
    uint32_t n;
    uint64_t place; /* of the next token to draw */
    uint32_t most;  /* 0: none */
    int32_t *draft; /* [most] filled in */
};

struct draft_model;

/* LB_ERR_INPUT: no such file, or another vocabulary than the target's. */
enum lb_status draft_model_open(struct lb_engine *target, const char *path, uint32_t draft_tokens,
                                struct draft_model **model, struct lb_error *err);
void draft_model_close(struct draft_model *model);
/* Another text begins in this sequence. */
void draft_model_forget(struct draft_model *model, uint32_t sequence);
/* One request for each sequence. What it held of drafts that were not kept is forgotten here. */
enum lb_status draft_model_draft(struct draft_model *model, struct sampler *sampler,
                                 const struct draft_request *requests, struct lb_error *err);
uint64_t draft_model_bytes(const struct draft_model *model);

#endif
