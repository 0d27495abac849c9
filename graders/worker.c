/* worker.c: runs one side of a lab, slow.c or student.c, and trusts it with nothing.

   A fresh worker is started for every sample. It gets one input at a time through shared memory,
   carries the operation out when it is told to, and writes the output back. It holds neither a
   clock nor a seed nor an expected output: the grader has those, in another process. The protocol
   stands in docs/internals.md.

   Before the student's code runs, the worker gives up what no lab needs: other descriptors, large
   resources, new privileges, and with a system call filter new processes, the network, files, and
   other processes. What it could not give up it reports.

   usage: worker MEMORY_BYTES CPU_SECONDS FILE_BYTES [CPU ...] */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "workload.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifdef WORKER_STATS
#include "perflab.h"
#endif

enum {
    COMMANDS = 3, REPLIES = 4, SHARED = 5,      /* descriptors */
    HEADER_SIZE = 4096,
    STACK_SLACK = 64 << 10,                     /* how near to the stack a fault has to be */
    THREAD_STACK = 1 << 20,                     /* bytes, of a thread that does not choose */
    DESCRIPTORS = 128,
    EXIT_DENIED = 120,                          /* the filter refused a system call */
    EXIT_SETUP = 121,                           /* the worker itself could not begin */
    LAYER_NO_NEW_PRIVS = 1, LAYER_LIMITS = 2, LAYER_SECCOMP = 4, LAYER_AFFINITY = 8,
};

/* Addresses beyond the memory that may be used: allocators reserve 64 MiB for each thread, perflab
   room for its tables, and neither uses much of it. */
#define RESERVED ((rlim_t)8 << 30)

/* The first page of the shared memory. The student's code can write anywhere in it, so the grader
   believes nothing here but what it compares with its own knowledge. */
typedef struct shared {
    char magic[8];
    uint64_t input_size, output_size, output_capacity, input_capacity;
    int64_t mallocs, frees, total_alloc, live, peak;
    int64_t denied;             /* system call that the filter refused, 0 if none */
    char denied_name[24];
    uint64_t fault_address;     /* of the signal that ended the worker */
    uint64_t exhausted;         /* 1 when the memory was used up at that moment */
    uint64_t overflow;          /* 1 when the address is close to the end of the stack */
    uint64_t layers;            /* LAYER_ bits that are in force */
    double figure;              /* what workload_count said last */
} shared;

static shared *header;

/* ---- giving things up ------------------------------------------------------------------- */

enum { DENY, DENY_SOFTLY };     /* ends the worker; or fails with EACCES, since libc copes */

typedef struct rule {
    unsigned number;
    int verdict;
    const char *name;
} rule;

/* System calls since Linux 5.1 have one number on every architecture, so that they can be refused
   even where the C library's headers are older. */
#define SINCE_51(name, number) {number, DENY, #name}
#define RULE(name) {SYS_##name, DENY, #name}
#define SOFT(name) {SYS_##name, DENY_SOFTLY, #name}

static const rule rules[] = {
    /* new processes and programs */
    RULE(execve), RULE(execveat), RULE(unshare), RULE(setns),
#ifdef SYS_fork
    RULE(fork), RULE(vfork),
#endif
    /* other processes */
    RULE(ptrace), RULE(process_vm_readv), RULE(process_vm_writev), RULE(kcmp),
    RULE(rt_sigqueueinfo), RULE(rt_tgsigqueueinfo),
#ifdef __GLIBC__
    RULE(tkill),                /* musl's raise and pthread_kill need it; glibc has tgkill */
#endif
    SINCE_51(pidfd_send_signal, 424), SINCE_51(pidfd_open, 434), SINCE_51(pidfd_getfd, 438),
    SINCE_51(process_madvise, 440), RULE(perf_event_open), RULE(setpriority),
    /* the network */
    RULE(socket), RULE(socketpair), RULE(connect), RULE(bind), RULE(listen), RULE(accept),
    RULE(accept4), RULE(sendto), RULE(sendmsg), RULE(sendmmsg),
    /* memory that outlives the process, or is seen by another one */
    RULE(shmget), RULE(shmat), RULE(semget), RULE(semop), RULE(msgget), RULE(msgsnd),
    RULE(msgrcv), RULE(mq_open), RULE(add_key), RULE(request_key), RULE(keyctl), RULE(flock),
    /* ways round this filter */
    SINCE_51(io_uring_setup, 425), SINCE_51(io_uring_enter, 426), SINCE_51(io_uring_register, 427),
    RULE(bpf), RULE(seccomp), RULE(personality),
    /* the machine: all of these need root, and some graders run as root in a container */
    RULE(mount), RULE(umount2), RULE(pivot_root), RULE(chroot), RULE(reboot), RULE(swapon),
    RULE(swapoff), RULE(sethostname), RULE(init_module), RULE(finit_module), RULE(delete_module),
    RULE(kexec_load), RULE(settimeofday), RULE(clock_settime), RULE(adjtimex),
    RULE(clock_adjtime), RULE(quotactl), RULE(acct),
    /* files */
    SOFT(openat), SOFT(unlinkat), SOFT(mkdirat), SOFT(mknodat), SOFT(linkat), SOFT(symlinkat),
    SOFT(renameat2), SOFT(truncate), SOFT(fchmodat), SOFT(fchownat), SOFT(readlinkat),
    SOFT(open_by_handle_at),
#ifdef SYS_renameat
    SOFT(renameat),
#endif
#ifdef SYS_open
    SOFT(open), SOFT(creat), SOFT(unlink), SOFT(mkdir), SOFT(rmdir), SOFT(mknod), SOFT(link),
    SOFT(symlink), SOFT(rename), SOFT(chmod), SOFT(chown), SOFT(lchown), SOFT(readlink),
#endif
    {437, DENY_SOFTLY, "openat2"},
    /* refused for some arguments only, by the filter's beginning */
    RULE(clone), RULE(kill), RULE(tgkill), RULE(prlimit64),
};

enum { RULES = sizeof rules / sizeof *rules, CLONE3 = 435 };

#if defined __x86_64__
#define FILTER_ARCH 0xc000003eu     /* AUDIT_ARCH_X86_64 */
#define RESULT_REGISTER(context) ((context)->uc_mcontext.gregs[REG_RAX])
#define STACK_REGISTER(context) ((context)->uc_mcontext.gregs[REG_RSP])
#define PATH_REGISTER(context, number) \
    ((context)->uc_mcontext.gregs[(number) == SYS_openat ? REG_RSI : REG_RDI])
#elif defined __aarch64__
#define FILTER_ARCH 0xc00000b7u     /* AUDIT_ARCH_AARCH64 */
#define RESULT_REGISTER(context) ((context)->uc_mcontext.regs[0])
#define STACK_REGISTER(context) ((context)->uc_mcontext.sp)
#define PATH_REGISTER(context, number) ((void)(number), (context)->uc_mcontext.regs[1])
#else
#define STACK_REGISTER(context) ((void)(context), 0)
#endif

#ifdef FILTER_ARCH

/* The kernel's filter language (classic BPF), spelled out here because the kernel's headers are a
   package of their own on some systems. A program looks at one of these for each system call. */
typedef struct call {
    int32_t number;
    uint32_t arch;
    uint64_t address, argument[6];
} call;

typedef struct instruction {
    uint16_t code;
    uint8_t if_true, if_false;      /* instructions to skip */
    uint32_t value;
} instruction;

typedef struct program {
    unsigned short length;
    instruction *line;
} program;

enum { BPF_LOAD = 0x20, BPF_EQUAL = 0x15, BPF_AT_LEAST = 0x35, BPF_ANY_BIT = 0x45, BPF_RETURN = 6 };
enum { ON_CALL_ALLOW = 0x7fff0000, ON_CALL_TRAP = 0x00030000, ON_CALL_ERRNO = 0x00050000 };
#define ON_CALL_KILL 0x80000000u
#define SET_MODE_FILTER 1u
#define FLAG_SPEC_ALLOW 4u
#define OTHER_POINTER_SIZE 0x40000000u      /* set in the numbers of x86's x32 calls */

#define LOAD(field) (instruction){BPF_LOAD, 0, 0, offsetof(call, field)}
#define SKIP_UNLESS(test, operand, lines) (instruction){(test), 0, (lines), (operand)}
#define RETURN(value) (instruction){BPF_RETURN, 0, 0, (value)}

static void emit(program *p, instruction line) {
    p->line[p->length++] = line;
}

/* Allows a call whose first argument (its lower half: process ids are ints) is the given one. */
static void allow_for(program *p, unsigned number, uint32_t argument) {
    emit(p, SKIP_UNLESS(BPF_EQUAL, number, 4));
    emit(p, LOAD(argument[0]));
    emit(p, SKIP_UNLESS(BPF_EQUAL, argument, 1));
    emit(p, RETURN(ON_CALL_ALLOW));
    emit(p, LOAD(number));
}

/* Threads may be made, processes may not. clone3 keeps its flags in memory, where a filter cannot
   look; "not implemented" makes every C library use clone instead. */
static void allow_threads(program *p) {
    emit(p, SKIP_UNLESS(BPF_EQUAL, CLONE3, 1));
    emit(p, RETURN(ON_CALL_ERRNO | ENOSYS));
    emit(p, SKIP_UNLESS(BPF_EQUAL, SYS_clone, 4));
    emit(p, LOAD(argument[0]));
    emit(p, SKIP_UNLESS(BPF_ANY_BIT, CLONE_THREAD, 1));
    emit(p, RETURN(ON_CALL_ALLOW));
    emit(p, LOAD(number));
}

/* Calls of another architecture, or of x86's 32-bit pointers, have other numbers: all refused. */
static void refuse_other_numbers(program *p) {
    emit(p, LOAD(arch));
    emit(p, (instruction){BPF_EQUAL, 1, 0, FILTER_ARCH});
    emit(p, RETURN(ON_CALL_KILL));
    emit(p, LOAD(number));
    emit(p, SKIP_UNLESS(BPF_AT_LEAST, OTHER_POINTER_SIZE, 1));
    emit(p, RETURN(ON_CALL_KILL));
}

/* A process that is not dumpable cannot be looked at from outside. */
static void refuse_to_hide(program *p) {
    emit(p, SKIP_UNLESS(BPF_EQUAL, SYS_prctl, 4));
    emit(p, LOAD(argument[0]));
    emit(p, SKIP_UNLESS(BPF_EQUAL, PR_SET_DUMPABLE, 1));
    emit(p, RETURN(ON_CALL_TRAP));
    emit(p, LOAD(number));
}

static void build_filter(program *p) {
    uint32_t self = (uint32_t)getpid();
    refuse_other_numbers(p);
    allow_threads(p);
    refuse_to_hide(p);
    allow_for(p, SYS_kill, self);
    allow_for(p, SYS_tgkill, self);
    allow_for(p, SYS_prlimit64, 0);
    allow_for(p, SYS_prlimit64, self);
    for (unsigned i = 0; i < RULES; i++) {
        emit(p, SKIP_UNLESS(BPF_EQUAL, rules[i].number, 1));
        emit(p, RETURN(ON_CALL_TRAP));
    }
    emit(p, RETURN(ON_CALL_ALLOW));
}

/* Whether a refused call asks for a fact of the machine, as libraries do for reasons of their own,
   perflab's benchmarks among them: of that the student need not hear. */
static int asks_machine(const rule *found, void *context) {
    if (!found || (found->number != SYS_openat && strcmp(found->name, "open") != 0)) return 0;
    const char *path = (const char *)PATH_REGISTER((ucontext_t *)context, found->number);
    return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/", 5) == 0;
}

/* The name goes to the grader, which explains it to the student. */
static void note_refusal(const rule *found, int number) {
    header->denied = number;
    for (unsigned i = 0; found && i < sizeof header->denied_name - 1; i++)
        if (!(header->denied_name[i] = found->name[i])) break;
}

/* A refused call lands here instead of in the kernel. */
static void on_refusal(int signal, siginfo_t *info, void *context) {
    const rule *found = NULL;
    (void)signal;
    for (unsigned i = 0; i < RULES; i++)
        if (rules[i].number == (unsigned)info->si_syscall) found = &rules[i];
    if (!asks_machine(found, context)) note_refusal(found, info->si_syscall);
    if (!found || found->verdict == DENY) _exit(EXIT_DENIED);
    RESULT_REGISTER((ucontext_t *)context) = -EACCES;
}

static int install_filter(void) {
    static instruction lines[2 * RULES + 64];
    program filter = {0, lines};
    struct sigaction action = {.sa_sigaction = on_refusal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    build_filter(&filter);
    if (sigaction(SIGSYS, &action, NULL) != 0) return 0;
    /* Without the flag kernels before 5.16 slow the whole process down, against Spectre. */
    return syscall(SYS_seccomp, SET_MODE_FILTER, FLAG_SPEC_ALLOW, &filter) == 0 ||
           syscall(SYS_seccomp, SET_MODE_FILTER, 0, &filter) == 0;
}

#else

static int install_filter(void) {
    return 0;
}

#endif

static int limit(int resource, rlim_t value) {
    struct rlimit now;
    if (getrlimit(resource, &now) != 0) return 0;
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < value) value = now.rlim_max;
    now.rlim_cur = now.rlim_max = value;
    return setrlimit(resource, &now) == 0;
}

/* Private memory that can be written counts, stacks of threads too. A file that grows beyond
   FILE_BYTES fails with EFBIG instead of ending the process. */
static int set_limits(char **argv) {
    rlim_t memory = strtoull(argv[1], NULL, 10);
    signal(SIGXFSZ, SIG_IGN);
    return limit(RLIMIT_DATA, memory) & limit(RLIMIT_AS, memory + RESERVED) &
           limit(RLIMIT_CPU, strtoull(argv[2], NULL, 10)) &
           limit(RLIMIT_FSIZE, strtoull(argv[3], NULL, 10)) &
           limit(RLIMIT_CORE, 0) & limit(RLIMIT_NOFILE, DESCRIPTORS) & limit(RLIMIT_MSGQUEUE, 0);
}

/* glibc's threads have stacks as large as the shell's limit, mostly 8 MiB: hundreds of threads
   would use up the memory with them. */
static void set_thread_stacks(void) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return;
    if (pthread_attr_setstacksize(&attributes, THREAD_STACK) == 0)
        pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

static int set_affinity(char **cpus) {
    cpu_set_t set;
    if (!*cpus) return 0;
    CPU_ZERO(&set);
    for (; *cpus; cpus++) CPU_SET(strtoul(*cpus, NULL, 10), &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

static void close_others(void) {
    if (syscall(436 /* close_range */, SHARED, ~0U, 0) == 0) return;
    for (int descriptor = SHARED; descriptor < 1024; descriptor++) close(descriptor);
}

/* ---- telling the grader how it ended ---------------------------------------------------- */

/* Notes the address, and whether there was memory left: what crashes after a malloc that returned
   NULL at the limit ran out of memory. Then the signal takes its usual course. */
static void on_crash(int number, siginfo_t *info, void *context) {
    uint64_t top = (uint64_t)STACK_REGISTER((ucontext_t *)context);
    size_t probe = 64 << 20;
    void *memory = mmap(NULL, probe, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    header->exhausted = memory == MAP_FAILED;
    if (memory != MAP_FAILED) munmap(memory, probe);
    header->fault_address = number == SIGABRT ? 0 : (uint64_t)(uintptr_t)info->si_addr;
    header->overflow = number == SIGSEGV &&
                       header->fault_address + STACK_SLACK - top < 2 * STACK_SLACK;
    signal(number, SIG_DFL);
}

static void watch_for_crashes(void) {
    static unsigned char stack[64 << 10];
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&alternate, NULL);
    for (unsigned i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

static void give_up(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    _exit(EXIT_SETUP);
}

/* ---- the protocol ----------------------------------------------------------------------- */

/* The output area cannot grow, but it counts on, so that the grader learns how much was meant. */
int workload_append(workload_buffer *buffer, const void *bytes, size_t n) {
    size_t start = buffer->size;
    buffer->size = n > SIZE_MAX - start ? SIZE_MAX : start + n;
    if (buffer->size > buffer->capacity) return -1;
    if (n) memcpy(buffer->data + start, bytes, n);
    return 0;
}

#ifdef WORKER_STATS
static pl_memstats before, after;
#define READ_MEMORY(snapshot) pl_memstats_read(&(snapshot))

static int report_memory(void) {
    pl_memstats used = pl_memstats_diff(&after, &before);
    header->mallocs = used.mallocs;
    header->frees = used.frees;
    header->total_alloc = used.total_alloc;
    header->live = after.alloc - before.alloc;
    header->peak = after.peak_alloc - before.alloc;
    return 1;
}
#else
#define READ_MEMORY(snapshot) ((void)0)

static int report_memory(void) {
    return 0;
}
#endif

typedef struct session {
    unsigned char *input, *copy;    /* in shared memory; the student's */
    workload_buffer output;
    void *state;
} session;

static int load(session *s) {
    size_t size = header->input_size;
    s->copy = malloc(size ? size : 1);
    if (!s->copy) return 0;
    memcpy(s->copy, s->input, size);
    s->state = workload_load(s->copy, size);
    return s->state != NULL;
}

static int run(session *s) {
    READ_MEMORY(before);
    workload_run(s->state);
    READ_MEMORY(after);
    s->output.size = 0;
    int stored = workload_store(s->state, &s->output) == 0;
    header->output_size = s->output.size;
    return stored;
}

/* The name stands at the beginning of the input area; the input has been copied. */
static int count(session *s) {
    return workload_count && workload_count(s->state, (char *)s->input, &header->figure) == 0;
}

static int unload(session *s) {
    workload_unload(s->state);
    free(s->copy);
    s->state = s->copy = NULL;
    return 1;
}

static void reply(char letter) {
    while (write(REPLIES, &letter, 1) != 1)
        if (errno != EINTR) _exit(0);
}

static char next_command(void) {
    char command = 'q';
    while (read(COMMANDS, &command, 1) < 0)
        if (errno != EINTR) _exit(0);
    return command;
}

static void serve(session *s) {
    for (;;) {
        switch (next_command()) {
        case 'l': reply(load(s) ? 'L' : '!'); break;
        case 'r': reply(run(s) ? 'R' : '!'); break;
        case 'm': reply(report_memory() ? 'M' : '!'); break;
        case 'c': reply(count(s) ? 'C' : '!'); break;
        case 'u': reply(unload(s) ? 'U' : '!'); break;
        default: _exit(0);
        }
    }
}

/* The whole mapping is touched here: first touches would be paid for in the timed window. */
static session open_session(void) {
    session s = {0};
    struct stat file;
    if (fstat(SHARED, &file) != 0) give_up("shared memory");
    unsigned char *memory = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_POPULATE, SHARED, 0);
    if (memory == MAP_FAILED) give_up("shared memory");
    header = (shared *)memory;
    if (memcmp(header->magic, "PLWORK1", 8) != 0) {
        errno = EPROTO;
        give_up("shared memory");
    }
    s.input = memory + HEADER_SIZE;
    s.output.data = s.input + header->input_capacity;
    s.output.capacity = header->output_capacity;
    return s;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        errno = EINVAL;
        give_up("usage: worker MEMORY_BYTES CPU_SECONDS FILE_BYTES [CPU ...]");
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    session s = open_session();
    close_others();
    watch_for_crashes();
    set_thread_stacks();
    header->layers |= set_affinity(argv + 4) ? LAYER_AFFINITY : 0;
    header->layers |= set_limits(argv) ? LAYER_LIMITS : 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) header->layers |= LAYER_NO_NEW_PRIVS;
    header->layers |= install_filter() ? LAYER_SECCOMP : 0;
    reply('h');
    serve(&s);
}
