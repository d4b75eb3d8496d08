/*
 * certificates: certificates, their server names and sets of authorities ->
 * the segment's sections, and what a service shows to its upstream and
 * trusts.  What is PEM text in the configuration is DER in the segment.
 */

#ifndef KONG_COMPILE_CERTIFICATES_H
#define KONG_COMPILE_CERTIFICATES_H

#include "aside.h"
#include "writer.h"
#include "../../ngx_kong_module/snapshot/kong_certificate.h"


/* by ascending id and hash */
typedef struct {
    arena_t                   *arena;
    const config_t            *config;
    const kong_certificate_t  *records;
    size_t                     n;
    const kong_trust_t        *trust;
    size_t                     n_trust;
} certificates_t;


/*
 * Writes the sections.  A certificate or SNI that is no good goes to `as`.
 * 0, or -1 with *err, a sentence that names the entity; never a key.
 */
int certificates_compile(certificates_t *cs, arena_t *a, const config_t *c,
    writer_t *w, aside_t *as, const char **err);
/* of a segment whose certificates are those of the configuration */
void certificates_of(certificates_t *cs, arena_t *a, const config_t *c,
    const kong_segment_t *seg);

/* sets what service `v` shows and trusts.  Its upstream has to be known
 * (KONG_SERVICE_UPSTREAM).  0, or -1 with *err */
int certificates_service(const certificates_t *cs, const value_t *v,
    kong_service_t *s, const char **err);

#endif
