/* lab.h: what checksum has to do. Every version of the lab keeps this contract. */
#ifndef LAB@id@_H
#define LAB@id@_H

#include <stddef.h>
#include <stdint.h>

/* FILL IN: the function of this lab. Say what it returns, who owns what, and what is odd input.

   checksum returns the sum of all bytes. No bytes give 0. */
uint64_t checksum(const unsigned char *bytes, size_t count);

#endif
