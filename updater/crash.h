/* Test only: the updater dies (SIGKILL, on itself) at a named point, once per state directory.
 *
 * SLUICE_TEST_CRASH=create:before names one; the points of an action are "before" (nothing is
 * journalled), "journalled" (the intent is), "done" (it is carried out, which nobody has written
 * down) and "after". A file "crashed" in the state directory says that it has happened, so that the
 * next updater goes on. Without the build option TEST_CRASH_POINTS there is nothing of it. */
#ifndef UPDATER_CRASH_H
#define UPDATER_CRASH_H

#ifdef SLUICE_CRASH_POINTS

void crash_open(const char *state);
void crash_at(const char *what, const char *when);

#else

static inline void crash_open(const char *state)
{
    (void)state;
}

static inline void crash_at(const char *what, const char *when)
{
    (void)what;
    (void)when;
}

#endif
#endif
