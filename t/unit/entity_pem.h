/*
 * entity_pem: certificates and keys made for the tests; they guard nothing.
 * EC_LEAF is no CA, EC_OLD has expired.
 */

#define EC_CERT                                                               \
    "-----BEGIN CERTIFICATE-----\n"                                           \
    "MIIBejCCASGgAwIBAgIUZoX+hNi/WFcrqGiUh8lvVVJzr7QwCgYIKoZIzj0EAwIw\n"      \
    "EjEQMA4GA1UEAwwHZWMudGVzdDAgFw0yNjExMjIxMjE1NTBaGA8yMTI2MTAyOTEy\n"      \
    "MTU1MFowEjEQMA4GA1UEAwwHZWMudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEH\n"      \
    "A0IABGBB7Ba0kA514Vr+e43XY10PMtKUlO8I5PyWXOjNYMGNneNXjIvaXC7JuSOe\n"      \
    "wlTeGbYbrmjGWmsbUaov1N7yOfyjUzBRMB0GA1UdDgQWBBQug979ws/pYj3NzaO8\n"      \
    "508qRz3aEDAfBgNVHSMEGDAWgBQug979ws/pYj3NzaO8508qRz3aEDAPBgNVHRMB\n"      \
    "Af8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIDfqUb61qZF6pxgCRcPM8M8tMajf\n"      \
    "O6et0HeCLtjRoWSPAiB6DEgdCbf8uNvPr18HHEEOd3cmnWc/PiJkV08npvbTDw==\n"      \
    "-----END CERTIFICATE-----\n"

#define EC_KEY                                                                \
    "-----BEGIN PRIVATE KEY-----\n"                                           \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjvND/qikFFj2qOkc\n"      \
    "LDiWl02hfNpFxenXilOuLo6TY5yhRANCAARgQewWtJAOdeFa/nuN12NdDzLSlJTv\n"      \
    "COT8llzozWDBjZ3jV4yL2lwuybkjnsJU3hm2G65oxlprG1GqL9Te8jn8\n"              \
    "-----END PRIVATE KEY-----\n"

#define EC_OTHER_KEY                                                          \
    "-----BEGIN PRIVATE KEY-----\n"                                           \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQggWnefVbcgnPQc9z0\n"      \
    "OF6EEgU9xzV2y/zw/63K6P21SRyhRANCAARxuqF7eU5vdlHeBfPrb+n8ftiMkBm+\n"      \
    "gsXAQGG+oiRM6uDN9O0OgSwmhUNeuURbTmL1SPAp8wi54f6mcNJvun0E\n"              \
    "-----END PRIVATE KEY-----\n"

#define EC_PUBLIC                                                             \
    "-----BEGIN PUBLIC KEY-----\n"                                            \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYEHsFrSQDnXhWv57jddjXQ8y0pSU\n"      \
    "7wjk/JZc6M1gwY2d41eMi9pcLsm5I57CVN4ZthuuaMZaaxtRqi/U3vI5/A==\n"          \
    "-----END PUBLIC KEY-----\n"

#define EC_LEAF                                                               \
    "-----BEGIN CERTIFICATE-----\n"                                           \
    "MIIBfDCCASKgAwIBAgIUUVy0EsJGgzqxse2DtDLm37YS6EYwCgYIKoZIzj0EAwIw\n"      \
    "FDESMBAGA1UEAwwJbGVhZi50ZXN0MCAXDTI2MTEyMjEyMTU1MFoYDzIxMjYxMDI5\n"      \
    "MTIxNTUwWjAUMRIwEAYDVQQDDAlsZWFmLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO\n"      \
    "PQMBBwNCAARgQewWtJAOdeFa/nuN12NdDzLSlJTvCOT8llzozWDBjZ3jV4yL2lwu\n"      \
    "ybkjnsJU3hm2G65oxlprG1GqL9Te8jn8o1AwTjAdBgNVHQ4EFgQULoPe/cLP6WI9\n"      \
    "zc2jvOdPKkc92hAwHwYDVR0jBBgwFoAULoPe/cLP6WI9zc2jvOdPKkc92hAwDAYD\n"      \
    "VR0TAQH/BAIwADAKBggqhkjOPQQDAgNIADBFAiAw1R/6NG3sSAZJq25GoI1nquAE\n"      \
    "OXfw/TyqqJyeEIVoXAIhAKYuT+vmyAXmrOC+pu2cfD7YVDSQYu/CywzlD1O6BWQi\n"      \
    "-----END CERTIFICATE-----\n"

#define EC_OLD                                                                \
    "-----BEGIN CERTIFICATE-----\n"                                           \
    "MIIBVjCB/aADAgECAhRlx/6pAYxV/Qk1xO70cl8IahEN/zAKBggqhkjOPQQDAjAT\n"      \
    "MREwDwYDVQQDDAhvbGQudGVzdDAeFw0yNjExMjIxMjE1NTBaFw0yNjExMjExMjE1\n"      \
    "NTBaMBMxETAPBgNVBAMMCG9sZC50ZXN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD\n"      \
    "QgAEYEHsFrSQDnXhWv57jddjXQ8y0pSU7wjk/JZc6M1gwY2d41eMi9pcLsm5I57C\n"      \
    "VN4ZthuuaMZaaxtRqi/U3vI5/KMvMC0wDAYDVR0TBAUwAwEB/zAdBgNVHQ4EFgQU\n"      \
    "LoPe/cLP6WI9zc2jvOdPKkc92hAwCgYIKoZIzj0EAwIDSAAwRQIhAPb9Tu1seUxZ\n"      \
    "g/ZYZbyRIktFfMXaT5wxZIe4upnJdE10AiAVPO9SBbL4HBvnXjWeaV4VDMQBYP7U\n"      \
    "47I4MImfjb2gZQ==\n"                                                      \
    "-----END CERTIFICATE-----\n"
