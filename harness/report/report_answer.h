/* report_answer: what a result says, in three sentences made from its figures. */
#ifndef REPORT_ANSWER_H
#define REPORT_ANSWER_H

#include "result/result_view.h"

/* 1. the best cell, 2. how far it is from the floor, 3. what limits it: storage, compute or late
 * prefetch. Without a measured cell the first says so and the others are "". */
struct report_answer {
    const struct view_cell *best; /* NULL: nothing was measured */
    const char *sentences[3];
};

struct report_answer report_answer(struct result_view *view);

/* The first and the third as one sentence, with the share of the floor. */
const char *report_answer_line(struct result_view *view);

#endif
