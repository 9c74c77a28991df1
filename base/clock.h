/* Time. Every wait and every duration is counted on the monotonic clock, which is one for all
 * processes of the machine, so stamps on the boards compare across processes. The wall clock is
 * for people: records, reports and logs. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_ms(void);      /* CLOCK_MONOTONIC, milliseconds */
uint64_t clock_us(void);      /* CLOCK_MONOTONIC, microseconds */
uint64_t clock_wall_ms(void); /* CLOCK_REALTIME, milliseconds since 1970 */

/* Writes wall time as RFC 3339 in UTC, "2026-11-23T04:56:31.123Z", into 25 bytes. */
#define CLOCK_TEXT_BYTES 25
void clock_format(uint64_t wall_ms, char text[CLOCK_TEXT_BYTES]);

#endif
