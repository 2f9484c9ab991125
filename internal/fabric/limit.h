// The bound on what functions allocate: RLIMIT_DATA, at what the process has when the first function
// is about to run and as much more as the lease says, so that an allocation fails in the function and
// the machine goes on. What this package itself maps later moves the limit along.
#ifndef SUBLET_LIMIT_H
#define SUBLET_LIMIT_H

#include "fabric.h"

// Sets the limit, once; memory 0: none.
void limit_begin(struct fabric_executor *e);

// Tells whether the process is at the end of its memory, given the errno of the thread that fails. A
// signal handler may call it.
int limit_reached(int error);

#endif
