/* input: the one way to open a file that is to be read. */
#ifndef BASE_INPUT_H
#define BASE_INPUT_H

#include "base/status.h"

#include <stdbool.h>

/* A descriptor of the regular file `path`, close-on-exec, which the caller closes; -1 and an error
 * of LB_ERR_INPUT that says why otherwise. Folders, devices, sockets and named pipes are refused at
 * once: reading from them would fail later, or wait for ever. A descriptor that was handed over
 * (/dev/stdin, /dev/fd/3, a shell's <(...)) may be a pipe too if `handed` is set. */
int lb_input_open(const char *path, bool handed, struct lb_error *err);

/* Descriptor that `path` names as /dev/stdout, /dev/fd/N or /proc/self/fd/N do, with the links on
 * the way followed; -1: none of this process. */
int lb_descriptor_named(const char *path);

/* "a directory", "a named pipe", ...: what st_mode says, for messages. */
const char *lb_file_kind(unsigned mode);

#endif
