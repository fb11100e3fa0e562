/* plot_scripts: the gnuplot scripts of plots/, inside the program, so that it needs no files. */
#ifndef PLOT_SCRIPTS_H
#define PLOT_SCRIPTS_H

/* The text of plots/NAME.gp ("style" for what all share), or NULL. */
const char *plot_script(const char *name);

#endif
