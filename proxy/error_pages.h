/* The operator's own bodies for answers of the proxy's own (config: error_pages).
 *
 * Read once, at the start of a worker, before its sandbox; nothing is ever put into them. */
#ifndef PROXY_ERROR_PAGES_H
#define PROXY_ERROR_PAGES_H

#include "answer.h"
#include "config/config.h"

#define SERVICE_NONE (-1) /* no service was found for the request */

struct error_pages;

/* A page that cannot be read is logged and left out. */
struct error_pages *error_pages_open(const struct config *config);
void error_pages_free(struct error_pages *pages);

/* The service's own before the one for all, a status before its class. NULL: there is none. */
const struct answer_page *error_pages_find(const struct error_pages *pages, int service,
                                           unsigned status);

#endif
