/*
 * engine_state: what an open engine consists of; for engine.c, which makes and runs it, and
 * observe.c, which tells about it.
 */
#ifndef ENGINE_STATE_H
#define ENGINE_STATE_H

#include "base/pool.h"
#include "base/ring.h"
#include "cache/layout.h"
#include "engine.h"
#include "feed.h"
#include "gguf/gguf.h"
#include "kernels/kernels.h"
#include "model/model.h"
#include "prefetch/streamer.h"
#include "storage/storage.h"
#include "text/tokenizer.h"

struct resident_block { /* memory of one resident tensor, read at aligned offsets */
    void *memory;
    size_t bytes;
};

struct lb_engine {
    struct lb_options options; /* strings replaced by ones that live as long as the engine */
    char notice[512];
    struct gguf_file *file;
    struct model *model;
    struct storage *storage;
    struct layout *layout;
    struct streamer *streamer;
    struct lb_pool *pool;
    bool pool_is_anothers;
    const struct kernels_ops *ops;
    struct model_session *session;
    struct lb_ring *log, *unit_log, *route_log;
    struct feed feed;
    struct resident_block *resident;
    uint32_t n_resident;
    struct resident_block *kept; /* of layers' tensors that predictions ask for */
    uint32_t n_kept;
    uint64_t resident_bytes;       /* of all these blocks */
    void *ballast;                 /* memory that no counter knows (options.breaks), or NULL */
    uint64_t reads_checked;        /* up to here the file was as it had been */
    uint64_t allocations_at_first; /* after the first pass */
    struct {                       /* of the prompt being prefilled, in tokens; total 0: none is */
        size_t before, now, total;
    } prompt;
    uint32_t most_together; /* tokens of a prompt in one pass, at least max_tokens */
    /* token-wise views of a batch, room for most_together */
    uint32_t *sequences;
    bool *want;
    /* text: opened at first use */
    struct tokenizer *tokenizer;
    struct tokenizer_stream stream;
    char *piece;
    size_t piece_size;
    /* sums over passes */
    struct lb_stats sums;
};

#endif
