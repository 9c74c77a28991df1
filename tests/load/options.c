#include "load.h"

#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE       2
#define CLIENTS_MAX      4096
#define RATE_MAX         100000
#define SECONDS_MAX      1000000
#define MILLISECONDS_MAX 3600000

static const char usage[] =
    "usage: sluice-load --address HOST:PORT [options]\n"
    "  --address HOST:PORT     where HTTP and WebSocket clients connect\n"
    "  --tcp HOST:PORT         where TCP echo clients connect\n"
    "  --host NAME             value of Host (default: the address)\n"
    "  --duration SECONDS      0: until SIGINT or SIGTERM (default)\n"
    "  --rate R                keep-alive requests per second, open loop\n"
    "  --connections C         over so many connections (default 8)\n"
    "  --keepalive-path PATH   for --rate and --new-connections (default /)\n"
    "  --new-connections R     requests per second, each on a connection of its own\n"
    "  --slow N                clients that ask for /slow?ms=3000 over and over\n"
    "  --uploads N             clients that post 1 MiB, chunked, to /upload\n"
    "  --downloads N           clients that fetch /bytes?n=...\n"
    "  --websockets N          clients of /ws, a message each second\n"
    "  --websocket-hold S      closed by the client after so long; 0: never (default)\n"
    "  --tcp-connections N     TCP echo clients, a line each 200 ms\n"
    "  --tcp-hold S            closed by the client after so long; 0: never (default)\n"
    "  --timeout SECONDS       of a connection, a request, an echo (default 10)\n"
    "  --report MS             a line of JSON so often\n"
    "Exit code: 0 nothing failed, 1 something failed, 2 usage.\n";

enum option_id {
    OPTION_ADDRESS = 256,
    OPTION_TCP,
    OPTION_HOST,
    OPTION_DURATION,
    OPTION_RATE,
    OPTION_CONNECTIONS,
    OPTION_PATH,
    OPTION_NEW,
    OPTION_SLOW,
    OPTION_UPLOADS,
    OPTION_DOWNLOADS,
    OPTION_WEBSOCKETS,
    OPTION_HOLD,
    OPTION_TCP_CONNECTIONS,
    OPTION_TCP_HOLD,
    OPTION_TIMEOUT,
    OPTION_REPORT,
    OPTION_HELP,
};

static const struct option long_options[] = {
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"tcp", required_argument, NULL, OPTION_TCP},
    {"host", required_argument, NULL, OPTION_HOST},
    {"duration", required_argument, NULL, OPTION_DURATION},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"keepalive-path", required_argument, NULL, OPTION_PATH},
    {"new-connections", required_argument, NULL, OPTION_NEW},
    {"slow", required_argument, NULL, OPTION_SLOW},
    {"uploads", required_argument, NULL, OPTION_UPLOADS},
    {"downloads", required_argument, NULL, OPTION_DOWNLOADS},
    {"websockets", required_argument, NULL, OPTION_WEBSOCKETS},
    {"websocket-hold", required_argument, NULL, OPTION_HOLD},
    {"tcp-connections", required_argument, NULL, OPTION_TCP_CONNECTIONS},
    {"tcp-hold", required_argument, NULL, OPTION_TCP_HOLD},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"report", required_argument, NULL, OPTION_REPORT},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool to_number(const char *text, double max, double *ret_value)
{
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !isfinite(value) || value < 0 || value > max)
        return false;
    *ret_value = value;
    return true;
}

static bool to_count(const char *text, unsigned max, unsigned *ret_value)
{
    double value;

    if (!to_number(text, max, &value) || value != floor(value))
        return false;
    *ret_value = (unsigned)value;
    return true;
}

static bool to_ms(const char *text, unsigned *ret_ms)
{
    double value;

    if (!to_number(text, MILLISECONDS_MAX / 1000.0, &value))
        return false;
    *ret_ms = (unsigned)lround(value * 1000);
    return true;
}

static bool is_line_part(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text == 0x7f)
            return false;
    return true;
}

static bool take_text(const char *text, size_t max, const char **ret_text)
{
    if (*text == '\0' || strlen(text) > max || !is_line_part(text))
        return false;
    *ret_text = text;
    return true;
}

static bool take(int id, const char *value, struct options *options)
{
    switch (id) {
    case OPTION_ADDRESS:
        return address_parse(slice_from_string(value), &options->http) == 0;
    case OPTION_TCP:
        return address_parse(slice_from_string(value), &options->tcp) == 0;
    case OPTION_HOST:
        return take_text(value, 255, &options->host);
    case OPTION_PATH:
        return take_text(value, 1024, &options->path) && value[0] == '/';
    case OPTION_DURATION:
        return to_number(value, SECONDS_MAX, &options->duration_s);
    case OPTION_RATE:
        return to_number(value, RATE_MAX, &options->rate);
    case OPTION_NEW:
        return to_number(value, RATE_MAX, &options->new_rate);
    case OPTION_CONNECTIONS:
        return to_count(value, CLIENTS_MAX, &options->connections) && options->connections > 0;
    case OPTION_SLOW:
        return to_count(value, CLIENTS_MAX, &options->slow);
    case OPTION_UPLOADS:
        return to_count(value, CLIENTS_MAX, &options->uploads);
    case OPTION_DOWNLOADS:
        return to_count(value, CLIENTS_MAX, &options->downloads);
    case OPTION_WEBSOCKETS:
        return to_count(value, CLIENTS_MAX, &options->websockets);
    case OPTION_TCP_CONNECTIONS:
        return to_count(value, CLIENTS_MAX, &options->tcp_connections);
    case OPTION_HOLD:
        return to_ms(value, &options->websocket_hold_ms);
    case OPTION_TCP_HOLD:
        return to_ms(value, &options->tcp_hold_ms);
    case OPTION_TIMEOUT:
        return to_ms(value, &options->timeout_ms) && options->timeout_ms > 0;
    case OPTION_REPORT:
        return to_count(value, MILLISECONDS_MAX, &options->report_ms) && options->report_ms > 0;
    default:
        return false;
    }
}

static int refuse(const char *why)
{
    fprintf(stderr, "sluice-load: %s\n%s", why, usage);
    return EXIT_USAGE;
}

static int check_together(const struct options *options)
{
    bool http = options->rate > 0 || options->new_rate > 0 || options->slow > 0 ||
                options->uploads > 0 || options->downloads > 0 || options->websockets > 0;

    if (http && options->http.family == 0)
        return refuse("--address is needed");
    if (options->tcp_connections > 0 && options->tcp.family == 0)
        return refuse("--tcp is needed");
    if (!http && options->tcp_connections == 0)
        return refuse("nothing to do");
    return 0;
}

int options_parse(int argc, char **argv, struct options *ret_options, bool *ret_help)
{
    int id;

    *ret_options = (struct options){.connections = 8, .timeout_ms = 10000, .path = "/"};
    *ret_help = false;
    while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (id == OPTION_HELP) {
            *ret_help = true;
            fputs(usage, stdout);
            return 0;
        }
        if (id == '?' || !take(id, optarg, ret_options))
            return refuse(id == '?' ? "unknown option" : optarg);
    }
    if (optind < argc)
        return refuse(argv[optind]);
    if (ret_options->http.family != 0)
        address_format(&ret_options->http, ret_options->host_text);
    if (ret_options->host == NULL)
        ret_options->host = ret_options->host_text;
    return check_together(ret_options);
}
