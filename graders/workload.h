/* workload.h: what a lab's workload.c implements, so that a grader can run the lab.

   A workload turns a seed into an input, knows the right output, and carries one operation of
   slow.c or student.c out on it. Everything that crosses a process boundary is plain bytes.

   workload_make and workload_expect run in the judge, a process of its own that never runs code
   of a student. The others run in a worker, a fresh process for every measurement.
   docs/internals.md shows both at work. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that grow at the end. Begin with {0}; free(buffer.data) at the end. */
typedef struct workload_buffer {
    unsigned char *data;
    size_t size, capacity;
} workload_buffer;

/* Appends n bytes. Returns 0, or -1 when they do not fit: out of memory in the judge and in
   benchmarks, a larger output than could be right in a worker. */
int workload_append(workload_buffer *buffer, const void *bytes, size_t n);

/* Judge: writes the input for a seed and a size n. The same seed and n give the same bytes on
   every machine. Returns 0 on success. */
int workload_make(uint64_t seed, uint64_t n, workload_buffer *input);

/* Judge: writes the right output for an input, found in another way than slow.c finds it.
   Returns 0 on success. */
int workload_expect(const workload_buffer *input, workload_buffer *output);

/* Worker, not timed: turns the bytes into what the function of lab.h takes. The bytes stay where
   they are until workload_unload. Returns NULL when there is no memory. */
void *workload_load(const unsigned char *data, size_t size);

/* Worker, timed: one operation. The result is kept in the state. */
void workload_run(void *state);

/* Worker, timed with workload_run: appends the result to output, and does nothing else. Returns 0,
   or -1 when there is no result (a function that had to return a string returned NULL), or when
   workload_append failed. */
int workload_store(void *state, workload_buffer *output);

/* Worker, not timed: frees the state and the result. */
void workload_unload(void *state);

/* Worker, not timed, and optional: what this file has counted during the last operation, by the
   names that lab.ini uses (kind = counted). Called between workload_store and workload_unload. The
   values are computed here, never by student.c, or follow from sizes and addresses. Returns 0 and
   the value, or -1 when nothing has this name. */
int workload_count(void *state, const char *name, double *value) __attribute__((weak));

#endif
