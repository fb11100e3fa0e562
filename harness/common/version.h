/* version: of the program; results and `layerbench --version` carry it. */
#ifndef VERSION_H
#define VERSION_H

#define LAYERBENCH_VERSION "0.1.0"

#endif
