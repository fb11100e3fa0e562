/* report_html: pieces of the report's HTML. All text is escaped here. */
#ifndef REPORT_HTML_H
#define REPORT_HTML_H

#include "result/result_view.h"

#include <stdio.h>

void html_head(FILE *out, const char *title); /* up to and with <body> */
void html_tail(FILE *out);

/* printf whose %s arguments are escaped; only %s, %d, %zu and %% are understood. */
void html_print(FILE *out, const char *format, ...);

/* Inlines an SVG of gnuplot's: `alt` for those who do not see it; ids get the prefix, so that
 * several fit on one page. False when the text is not an SVG. */
bool html_svg(FILE *out, const char *svg, const char *alt, const char *prefix);

/* The table of all cells of a result; best: marked, or NULL. */
void html_cells(FILE *out, struct result_view *view, const struct view_cell *best);
/* How long single layers were waited for and read, of a view whose log has been read; nothing where
 * the log is empty. */
void html_layers(FILE *out, struct result_view *view);
/* The environment as a table: value, and source or reason. */
void html_environment(FILE *out, struct result_view *view);

#endif
