/* Adopting what the updater published, and acknowledging it. */
#ifndef PROXY_ADOPTION_H
#define PROXY_ADOPTION_H

struct worker;

/* Looks whether there is a newer table; adopts it, acts on it, then acknowledges it. */
void adoption_check(struct worker *worker);

#endif
