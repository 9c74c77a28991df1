/* The system calls of a worker: a list of what is allowed, by libseccomp. */
#ifndef BASE_SYSCALL_FILTER_H
#define BASE_SYSCALL_FILTER_H

/* From here on a system call that is not in the list ends this process by SIGSYS, after one line
 * on stderr that names it. Handlers of signals are set before: none can be set after. Returns 0 or
 * -errno; -ENOSYS or -EINVAL from a kernel without seccomp. */
int syscall_filter_enter(void) __attribute__((warn_unused_result));

#endif
