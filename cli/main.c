/* sluice: the command people type. A client of the admin API; `sluice run` becomes the supervisor.
 */
#include "arguments.h"
#include "command.h"
#include "help.h"
#include "text.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum exit_code complain(enum exit_code code, const char *format, ...)
{
    struct lines lines = {0};
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fflush(stdout);
    lines_add(&lines, "sluice: %s", text);
    lines_print(&lines, stderr, false);
    lines_done(&lines);
    return code;
}

static bool wants_colour(void)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && (no_colour == NULL || no_colour[0] == '\0') &&
           terminal != NULL && terminal[0] != '\0' && terminal[0] != 'd'; /* "dumb" */
}

static void choose_admin(struct invocation *invocation)
{
    const char *environment = getenv("SLUICE_ADMIN");
    if (invocation->admin != NULL)
        return;
    invocation->admin_given = environment != NULL && environment[0] != '\0';
    invocation->admin = invocation->admin_given ? environment : DEFAULT_ADMIN;
}

static enum exit_code go(int argc, char **argv)
{
    struct invocation invocation;
    char why[ARGUMENTS_WHY_BYTES];
    text_init();
    if (arguments_read(argc, argv, &invocation, why) < 0)
        return complain(USAGE, "%s", why);
    if (invocation.command == NULL && !invocation.help)
        return complain(USAGE, "say what to do: sluice COMMAND; `sluice --help` lists them");
    if (invocation.help) {
        if (invocation.command != NULL)
            help_command(invocation.command);
        else
            help_overview();
        return DONE;
    }
    choose_admin(&invocation);
    invocation.colour = wants_colour();
    /* A reader that went away (`sluice watch | head`) is seen by write() and ends the program. */
    signal(SIGPIPE, SIG_DFL);
    if (!invocation.command->local && curl_global_init(CURL_GLOBAL_NOTHING) != 0)
        return complain(UNREACHABLE, "libcurl cannot be set up");
    enum exit_code code = invocation.command->run(&invocation);
    if (!invocation.command->local)
        curl_global_cleanup();
    return code;
}

int main(int argc, char **argv)
{
    return (int)go(argc, argv);
}
