/* lab.h: what log_collect has to do. Every version of the lab keeps this contract. */
#ifndef LAB05_H
#define LAB05_H

enum {
    HOST_MAX = 31,              /* letters in the name of a host, at least one */
    MESSAGE_MAX = 1 << 20,      /* bytes in a message; none is allowed too */
};

/* log_collect reads messages from the descriptor `in` until its end, and writes each one to `out`
   as a line. A message is a header (the name of a host, a blank, a length in decimal digits, a
   newline) and then so many bytes, of any value:

       in     "web-03 12\ndisk is full" "db-1 0\n" "web-17 5\nready"
       out    "web-03: disk is full\n" "db-1: \n" "web-17: ready\n"

   Both descriptors may be files or pipes, and they block. A read or write may be interrupted by a
   signal (EINTR) or move less than it was asked to: neither is an error, the rest has to follow.

   log_collect returns the number of messages, or -1 and sets errno: to the error of a read or a
   write that failed (no room is left, the reader is gone); to EPROTO when the input ends within a
   message or a header is not as described; to ENOMEM. Lines are never lost in silence, and never
   written twice: `out` then holds all lines before the failure, or as many bytes of them as it
   took, and nothing of a message that was not whole.

   `in` and `out` stay open. Other descriptors and memory do not. */
long log_collect(int in, int out);

#endif
