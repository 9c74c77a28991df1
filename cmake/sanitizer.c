/* Linked into every program of a build with sanitizers: what they report ends it with a code of its
 * own, so that no test takes it for a failure that it expects. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
    return "exitcode=99";
}

const char *__ubsan_default_options(void)
{
    return "exitcode=99:print_stacktrace=1";
}
