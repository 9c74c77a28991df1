#include "held.h"

size_t held_now; /* one for the process: there is one thread */
