/* `sluice-worker --check-files`: tries what a worker reads for TLS and ends. For `sluice check`.
 *
 * The config lies at DESCRIPTOR_CONFIG, nothing else is needed. What cannot be used is logged as a
 * worker logs it. */
#ifndef PROXY_FILE_CHECK_H
#define PROXY_FILE_CHECK_H

/* The exit code: 0, or 1 where something cannot be used; else they could not be tried. */
int file_check(void);

#endif
