/* Who is probed when: keeps one target per backend slot in step with the routing table, and the
 * verdicts board in step with what the probes find.
 *
 * A slot is probed while its backend is starting or ready: at once when it appears or is given out
 * anew, then at the check's interval, never twice at a time. Gaps are cut at random once, so that
 * backends which appeared together are not probed together for ever. */
#ifndef HEALTH_PROBER_H
#define HEALTH_PROBER_H

struct config;
struct ev_loop;
struct prober;
struct routing_board;
struct verdicts_board;

/* Probes at once, each kind on its own, so that slow scripts hold up no other check. Those past
 * the limit wait their turn. With all of them timing out, one round of the 4096 slots takes 16
 * times the check's timeout. */
#define PROBER_NETWORK_MAX 256u /* a descriptor each */
#define PROBER_SCRIPTS_MAX 32u  /* a process and two descriptors each */

struct tls_files;

struct prober_options {
    struct ev_loop *loop; /* not libev's default loop: see base/script.h */
    const struct config *config;
    const struct routing_board *routing;
    struct verdicts_board *verdicts;
    const struct tls_files *tls; /* by the config's service */
    unsigned row_count;          /* workers' bells to ring */
};

/* Returns NULL where libcurl cannot be set up. What the options point to must outlive it. */
struct prober *prober_open(const struct prober_options *options);
void prober_close(struct prober *prober);

/* Follows the routing table, if it has changed. */
void prober_sync(struct prober *prober);

#endif
