/*
 * layout: which bytes of the file each unit holds, and where they lie in memory.
 *
 * Memory of the cache is frames of equal size, so that units of any size share it
 * without fragmentation. A unit (a layer, a tensor, or a piece of a given size)
 * takes whole frames of its own while it is cached; which ones is decided when it is
 * loaded. Tensors are cut at rows, never inside one:
 *
 *   unit   = frames 0..n_frames-1 (slot numbers inside the unit)
 *   extent = one contiguous aligned read of the file into one frame
 *   run    = rows of one tensor that lie in one frame
 *
 * A layer's weights are divided into parts by when they are needed: part 0 always is; of
 * the others, the experts of a mixture, a pass needs only some. A unit never crosses parts,
 * except for `unit: layer`. A tensor that holds all experts is given as one slice for each.
 *
 * A layer's (part's) tensors are laid out in file order (few large extents) for `unit: layer`
 * and `expert`, and in access order for smaller units. Pure: no I/O, no memory of frames.
 */
#ifndef CACHE_LAYOUT_H
#define CACHE_LAYOUT_H

#include "base/status.h"

#include <stdint.h>

/* A tensor of a layer, or an expert's slice of one; the input lists them in access order, layer
 * by layer, in a layer part by part. */
struct layout_tensor {
    uint32_t layer; /* 0.. without gaps, ascending */
    uint32_t part;  /* 0: needed in every pass; 1 + e: expert e; ascending in a layer */
    uint64_t file_offset, row_bytes;
    uint32_t n_rows;
};

struct layout_extent {
    uint64_t file_offset; /* multiple of align */
    uint32_t bytes;       /* multiple of align, but for the end of the file */
    uint32_t frame;       /* inside the unit */
    uint32_t frame_offset;
};

struct layout_run {
    uint32_t tensor;      /* index into the input */
    uint32_t first, last; /* rows */
    uint32_t frame, frame_offset;
};

struct layout_unit {
    uint32_t layer, part;
    uint32_t n_frames;
    uint64_t bytes;      /* weights */
    uint64_t read_bytes; /* sum of its extents */
    uint32_t first_extent, n_extents;
    uint32_t first_run, n_runs; /* ordered by tensor and row: access order */
};

struct layout {
    uint32_t n_layers, n_units, n_tensors;
    uint32_t frame_bytes;
    struct layout_unit *units; /* in access order */
    struct layout_extent *extents;
    struct layout_run *runs;
    uint32_t *layer_first_unit; /* [n_layers + 1] */
    uint64_t bytes;             /* weights of all units */
    uint64_t read_bytes;
};

#define LAYOUT_UNIT_LAYER  0u
#define LAYOUT_UNIT_TENSOR 1u
#define LAYOUT_UNIT_EXPERT 2u /* a part of a layer; where there are no experts, a layer */

struct layout_options {
    uint64_t unit_bytes;  /* one of LAYOUT_UNIT_, or a size */
    uint32_t frame_bytes; /* 0: 2 MiB, or as much less as makes frames waste little */
    uint32_t align;       /* of file offsets and sizes of reads */
    uint64_t file_bytes;
};

enum lb_status layout_build(const struct layout_tensor *tensors, uint32_t n_tensors,
                            const struct layout_options *options, struct layout **layout,
                            struct lb_error *err);
void layout_free(struct layout *layout);

/* The units of a part: the first of them, and how many (0: the layer has no such part). */
uint32_t layout_part(const struct layout *layout, uint32_t layer, uint32_t part, uint32_t *n_units);

#endif
