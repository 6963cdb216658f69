/* All of one width, LG_BITS. */
#include "lanes.h"
#include "memory.h"
#include "shifted.h"
#include "arithmetic.h"
#include "elementary.h"
#include "special.h"
