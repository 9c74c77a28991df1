/* One line per exchange, when it ends. */
#ifndef PROXY_ACCESS_LOG_H
#define PROXY_ACCESS_LOG_H

#include "exchange.h"

void access_log_exchange(const struct exchange *x, enum exchange_why why);
/* A request that never became an exchange: malformed, too slow, or without a route. */
void access_log_refused(const struct worker *worker, const struct address *client, unsigned status,
                        const char *why);

#endif
