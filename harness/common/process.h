/* process: what has to hold of this process before a command begins, and what it runs. */
#ifndef PROCESS_H
#define PROCESS_H

#include <sys/types.h>

/*
 * 1. Descriptors 0 to 2 are open: those that are closed lead to /dev/null, so that no file of ours
 *    gets their number and takes what is meant for the terminal.
 * 2. A signal that ends the program removes its temporary files first (as whoever started it
 *    wants: what is ignored stays ignored).
 * 3. A file that grows beyond the limit on file sizes is an error of write(), not a death.
 * 4. JSON that finds no memory ends the program (exit code 5): a document that lacks a part would
 * be taken for whole.
 */
void process_begin(void);

/* A signal that ends this program ends that process group with it; 0: none. */
void process_take_along(pid_t group);

/* What to run, or to read, for this program again, whatever has become of its file; without /proc,
 * as it was started, from the folder where it was. */
const char *process_program(void);

/* What a signal that ends the process has to say, on standard error; NULL: nothing (any more). */
void process_say_at_end(const char *text);

#endif
