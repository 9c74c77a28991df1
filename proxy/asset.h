/* What belongs to a page: scripts, styles, images, fonts. Pure. */
#ifndef PROXY_ASSET_H
#define PROXY_ASSET_H

#include "http1.h"

/* By Sec-Fetch-Dest (W3C, "Fetch Metadata Request Headers"), else by the extension of the path. A
 * GET or HEAD without a body. */
bool asset_is_asked(const struct http1_request *request);

#endif
