/*
 * results: one run's directory, kept valid at every moment.
 *
 *   result.json   Google Benchmark's JSON and the key "layerbench"
 *   layers.jsonl  one line an access
 *   routes.csv    the experts that routers chose, where log_routes asks for them (route_lines.h)
 *   summary.csv, summary.md
 *   samples.jsonl  samples that result.json does not hold yet (journal.h), while the run goes on
 *
 * After each sample its log lines are appended, then the sample to the journal, so that it costs
 * what is new. The other files are written as a whole, to a temporary name and renamed, whenever
 * that takes a small share of the time since the last time, and at the end. A run killed at any
 * moment leaves what was measured, and results_resume() goes on from there (log lines of a sample
 * that neither knows are dropped then).
 */
#ifndef RESULTS_H
#define RESULTS_H

#include "base/file_state.h"
#include "result/summary.h"
#include "sample/raw_paths.h"
#include "sample/sample.h"
#include "study/matrix.h"
#include "study/model_file.h"

enum {
    RESULT_JSON,
    LAYERS_JSONL,
    SAMPLES_JSONL,
    ROUTES_CSV,
    SUMMARY_CSV,
    SUMMARY_MD,
    N_RESULT_FILES
};

struct results {
    char *directory, *files[N_RESULT_FILES]; /* in it */
    int lock;                                /* on the directory, from open or resume to close */
    const struct scenario *scenario;
    const struct matrix *matrix;
    const char *model_path;
    struct lb_model_facts model;
    struct lb_file_state model_state; /* as it was when the run began */
    char model_sha256[65];            /* of the parts read so far; "": not known */
    uint32_t repetitions, warmup;
    uint64_t seed;
    int64_t started_realtime_ns;  /* of the first start, also after a resume: a label */
    int64_t origin_ns;            /* on lb_now_ns(): times since the start count from here */
    struct cell_samples *by_cell; /* matrix->count of them */
    struct raw_paths paths;
    json_t *context;     /* of Google Benchmark, from the first start */
    json_t *environment; /* environment.h */
    json_t *warnings;    /* texts */
    json_t *attached;    /* by name of a cell: more keys of it */
    bool complete;
    const char *filter, *shard; /* as given on the command line, or NULL */
    bool log;                   /* write layers.jsonl */
    int64_t written_ns;         /* when all was written last, and how long it took */
    int64_t write_took_ns;
};

/* A new run in `directory` (made; refused when it is there and not empty). The pointers in
 * *results that the caller has set stay the caller's. */
enum lb_status results_open(struct results *results, const char *directory, struct lb_error *err);

/* Goes on in a directory with a result of the same scenario, model, seed and numbers. */
enum lb_status results_resume(struct results *results, const char *directory, struct lb_error *err);

/* The model's hash (NULL: not known) is that of all parts: the first one stays, another is
 * LB_ERR_INPUT. */
enum lb_status results_check_model(struct results *results, const char *sha256,
                                   struct lb_error *err);

/* Has this sample been taken? (also when it failed) */
bool results_has(const struct results *results, uint32_t cell, int32_t rep);

/* Takes the sample over: its log and itself on disk, everything else now and then; warns of what it
 * has to say. */
enum lb_status results_add(struct results *results, uint32_t cell, struct sample *sample,
                           struct lb_error *err);
enum lb_status results_write(struct results *results, struct lb_error *err);

/* Gives a cell one more key ("profile", "prediction"); takes the value over. */
void results_attach(struct results *results, uint32_t cell, const char *key, json_t *value);
bool results_attached(const struct results *results, uint32_t cell, const char *key);

void results_warn(struct results *results, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Bytes/s that the floor of a cell rests on: the most that was seen on its path in this run, in raw
 * reads or in a pass. 0: none applies. *source says which, in words. */
double results_bandwidth(const struct results *results, uint32_t cell, const char **source);
/* Warns of what a reader of the figures has to know: outliers, drift, a floor that is wrong. */
void results_warn_of_figures(struct results *results);
/* Whether it is one of these: a result that is put together has figures, and warnings, of its own.
 */
bool results_is_of_figures(const char *warning);
struct summary results_summary(const struct results *results, uint32_t cell);
/* Of all cells; malloc, NULL: out of memory. */
struct summary *results_summaries(const struct results *results);
/* Of each cell, the time of a token over that of the fastest cell that streams (of all, where none
 * does) and has the same task (matrix_same_task); NAN: not measured, or an added reference cell.
 * malloc, NULL: out of memory. */
double *results_relative(const struct results *results, const struct summary *summaries);
/* Whether any cell guesses experts before their router chooses them. */
bool results_predicts(const struct results *results);

void results_close(struct results *results);

#endif
