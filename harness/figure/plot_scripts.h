/* plot_scripts: the gnuplot scripts of plots/, inside the program, so that it needs no files. */
#ifndef PLOT_SCRIPTS_H
#define PLOT_SCRIPTS_H

#include <stddef.h>

/* The text of plots/NAME.gp ("style" for what all share), or NULL. */
const char *plot_script(const char *name);

/* Paragraph n of the script's head comment, as one line: 0 is the question that the figure answers,
 * 1 how to read it. Returns text. */
const char *plot_script_paragraph(const char *name, int n, char *text, size_t size);

#endif
