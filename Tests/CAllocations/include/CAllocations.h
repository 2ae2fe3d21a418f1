#pragma once
#include <stdbool.h>
#include <stdint.h>

/// How often this thread has called malloc or one of its kin.
uint64_t allocations_of_this_thread(void);

/// Whether calls are counted: not under a sanitizer, which brings its own malloc.
bool allocations_are_counted(void);
