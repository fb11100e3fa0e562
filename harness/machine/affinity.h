/* affinity: processors such as "0-3,6", parsed and applied. */
#ifndef AFFINITY_H
#define AFFINITY_H

#include <stdbool.h>

bool affinity_valid(const char *list); /* "" is: any processor */
/* To this process and what it starts; false with errno set. "" leaves all as it is. */
bool affinity_apply(const char *list);

#endif
