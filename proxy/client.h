/* A client's HTTP/1 connection: one request after the other, each carried by a relay.
 *
 * Owner: itself, on worker->clients from accept to close. */
#ifndef PROXY_CLIENT_H
#define PROXY_CLIENT_H

#include "admission.h"
#include "error_pages.h"
#include "reader.h"
#include "worker.h"

struct http1_request;
struct listener;
struct relay;

enum client_state {
    CLIENT_GREETING,  /* the handshake of TLS is in progress */
    CLIENT_READING,   /* between requests, or within a head */
    CLIENT_BUSY,      /* a request is in progress: relay */
    CLIENT_TUNNEL,    /* upgraded: relay's tunnel */
    CLIENT_LINGERING, /* answered for the last time: what still comes is dropped */
    CLIENT_CLOSED,
};

struct client {
    struct doomed doomed; /* until then its node is on worker->clients */
    struct worker *worker;
    struct listener *listener; /* that it came by */
    struct stream *stream;
    struct relay *relay;
    enum client_state state : 8;
    bool processing; /* within client_process(): the loop there takes the next request */
    bool served;     /* has had an answer */
    bool recent;     /* has asked since clients_shed_idle() came by */
    bool head_begun;
    bool ended;     /* sends no more: gone, or half closed */
    bool yielded;   /* has requests left to take: the deadline is the next turn */
    bool trusted;   /* a proxy whose word about its clients counts */
    size_t scanned; /* http1_parse_request()'s memory; while lingering: bytes that were dropped */
    struct reader reader;
    uint64_t accepted_ms;
    uint64_t ticket;        /* admission_enter() */
    uint64_t name;          /* admission_name(), of `address` */
    char *certificate;      /* its own, as a Client-Cert field has it; NULL: none */
    struct address address; /* who connected */
    struct address local;   /* where to: see listener_serve() */
    char ip[];              /* of `address`, as text */
};

/* Takes over an accepted socket. */
void client_accept(struct listener *listener, int fd, const struct address *address,
                   const struct address *local);

/* Who asks, in the words of the trusted proxy that this client is. */
struct address client_told(const struct client *client, const struct http1_request *request);
/* Whose request it is: for limits, stickiness and logs. A trusted proxy speaks for its client. */
static inline struct address client_asker(const struct client *client,
                                          const struct http1_request *request)
{
    return client->trusted ? client_told(client, request) : client->address;
}

/* The name that its requests are counted under. */
static inline uint64_t client_asker_name(const struct client *client, const struct address *asker)
{
    return client->trusted ? admission_name(client->worker, asker) : client->name;
}

/* The relay's calls when a request is over. Each may close or take the next request. */
void client_next(struct client *client);
/* Nothing more is read from this client: closed once everything is written. `whole`: its request
 * was read to the end. */
void client_finish(struct client *client, bool whole);
/* Sends an answer of the proxy's own, with the service's page for it. Followed by client_next() or
 * client_finish(). */
void client_answer(struct client *client, int service, const struct answer *answer);
/* The same for one that is written already. `body` may be empty. */
void client_write_answer(struct client *client, struct slice head, struct slice body);
void client_close(struct client *client);
/* Within client*.c: begins the handshake; false where there is nothing to serve with, or no memory.
 */
bool client_start_tls(struct client *client) __attribute__((warn_unused_result));
void client_on_handshake(struct client *client, enum stream_event event);
/* Closes so that the client cannot take a cut answer for a whole one. */
void client_reset(struct client *client);

/* Closes up to `count` connections that wait between requests, those first that have waited for
 * long. Returns how many. */
unsigned clients_shed_idle(struct worker *worker, unsigned count);
/* The worker stops: those that wait between requests are closed after a short grace. */
void client_stop_idle(struct worker *worker);

#endif
