/*
 * scenario: a study as a JSON document: which model, which options fixed, which varied.
 *
 * Read strictly: an unknown or doubled key, a wrong type or an impossible value is an error that
 * names the file, the place inside the document and what was expected. Amounts are kept as the
 * canonical text of their option (option.h), so that 1024KiB and 1MiB are the same value.
 */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "base/status.h"
#include "settings/option.h"
#include "study/model_file.h"
#include "study/peer.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct scenario_value { /* one option set to one value */
    const struct option *option;
    const char *text;
};

struct scenario_axis { /* one option under "matrix" */
    const struct option *option;
    const char **texts;
    size_t count;
};

struct scenario_exclusion { /* a cell that has all these values is left out */
    struct scenario_value *values;
    size_t count;
};

#define SCENARIO_QUANTS 8

struct scenario {
    const char *path;
    const char *name, *about;
    const char *model_path; /* NULL: model_synth */
    struct model_synth model_synth;
    const char *quants[SCENARIO_QUANTS]; /* several: a model of each, which the gate takes */
    size_t n_quants;                     /* 0: that of model_synth alone */
    struct scenario_value *fixed;
    size_t n_fixed;
    struct scenario_axis *axes;
    size_t n_axes;
    struct scenario_exclusion *exclusions;
    size_t n_exclusions;
    struct peer *peers; /* the other programs among the values of `engine` */
    size_t n_peers;
    uint32_t repetitions, warmup;
    uint64_t seed;
    json_t *document; /* as it was read */
    char sha256[65];  /* of the file's bytes */
    char **texts;     /* owns the texts above */
    size_t n_texts;
};

/* From a document: of a file (scenario_file.h), of the command line, or a result's `requested`;
 * takes a reference to it. `path` is for messages. */
enum lb_status scenario_from_json(json_t *document, const char *path, const char *sha256,
                                  struct scenario *scenario, struct lb_error *err);
/* LB_ERR_INPUT where it has several models. */
enum lb_status scenario_of_one_model(const struct scenario *scenario, struct lb_error *err);
/* A JSON value of a scenario or result as text for option_set(); false when its type cannot be
 * right. */
bool scenario_option_text(const struct option *option, json_t *value, char *text, size_t size);
/* The program of that name; NULL: layerbench itself. */
const struct peer *scenario_peer(const struct scenario *scenario, const char *name);
void scenario_free(struct scenario *scenario);

#endif
