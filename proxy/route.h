/* Host and path to service. Pure once made from the config.
 *
 * The most particular route wins: a whole host over a suffix over every host, then the longer
 * suffix, then the longer path, then the earlier in the file. Owner: the worker; made once. */
#ifndef PROXY_ROUTE_H
#define PROXY_ROUTE_H

#include "base/slice.h"
#include "config/config.h"

struct route {
    struct slice host; /* empty: every host; a suffix starts with its dot */
    bool is_suffix;
    struct slice path; /* in its normal form, in the table's memory */
    uint16_t service;  /* index in the config */
};

struct route_table {
    struct route *routes; /* in the order in which they are tried */
    size_t count;
    bool by_path; /* some route has another path than "/" */
};

#define ROUTE_NONE      (-1)
#define ROUTE_AMBIGUOUS (-2) /* the path has dot segments, and routes are told apart by path */

/* Hosts point into the config. Exits when out of memory: it is made at start. */
void route_table_init(struct route_table *table, const struct config *config);
/* The names of a listener's `sni`, for which the path is "/". */
void route_table_init_names(struct route_table *table, const struct config_listener *listener);
void route_table_done(struct route_table *table);

/* Index of the service in the config, or one of the above. `host` may carry a port; `path` may
 * carry a query. Paths are compared in their normal form (path.h). */
int route_find(const struct route_table *table, struct slice host, struct slice path);

#endif
