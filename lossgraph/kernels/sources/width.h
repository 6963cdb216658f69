/* All of one width, LG_BITS. */
#include "lanes.h"
#include "memory.h"
#include "arithmetic.h"
#include "elementary.h"
#include "power.h"
#include "circular.h"
#include "error_function.h"
#include "gamma.h"
