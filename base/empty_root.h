/* A root directory in which there is nothing, and nothing can be made. */
#ifndef BASE_EMPTY_ROOT_H
#define BASE_EMPTY_ROOT_H

/* This process's root and working directory become a directory of /proc that belonged to a process
 * which has ended: nothing is found in it, nobody can write to it, and it is on no disk. Needs
 * CAP_SYS_CHROOT, which Docker's default set has, and no mount. Descriptors of directories that
 * are still open lead out of it: there must be none. Returns 0 or -errno. */
int empty_root_enter(void) __attribute__((warn_unused_result));

#endif
