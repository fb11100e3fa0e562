/*
 * folder_lock: one process at a time writes into a folder.
 *
 * The lock lies on the folder itself, so that no file is left, and ends with the process however it
 * ends. A file system that knows no locks is no reason to stop: there is none then.
 */
#ifndef FOLDER_LOCK_H
#define FOLDER_LOCK_H

#include "base/status.h"

/* *lock: a descriptor that holds it, for folder_unlock(); -1: no lock, or not to be had here. When
 * another process has it: LB_ERR_INPUT that names it. */
enum lb_status folder_lock(const char *folder, int *lock, struct lb_error *err);
/* The same, but waits until the other is done; `what` it does for the note that says so. */
int folder_lock_wait(const char *folder, const char *what);
void folder_unlock(int *lock);

#endif
