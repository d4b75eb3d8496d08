/*
 * migrations_list: the names of Kong 3.9's migrations, as schema_meta records
 * them, and the SQL files, which the assembler puts into the program.  A file
 * makes the tables as they are after all migrations of its subsystem; a
 * subsystem without one only ever changed rows.
 */

#include <stddef.h>

#include "migrations.h"


/* a file of this folder as a NUL-terminated constant */
#define SQL(symbol, file)                                                     \
    __asm__(".pushsection .rodata\n"                                          \
            ".globl " #symbol "\n"                                            \
            #symbol ":\n"                                                     \
            ".incbin \"controld/migrations/" file "\"\n"                      \
            ".byte 0\n"                                                       \
            ".popsection\n");                                                 \
    extern const char  symbol[]

#define LIST(...)  (const char *const []) { __VA_ARGS__, NULL }


SQL(migrations_locks_sql, "000_locks.sql");
SQL(migrations_sql_001, "001_core.sql");
SQL(migrations_sql_010, "010_acl.sql");
SQL(migrations_sql_011, "011_acme.sql");
SQL(migrations_sql_012, "012_basic_auth.sql");
SQL(migrations_sql_013, "013_hmac_auth.sql");
SQL(migrations_sql_014, "014_jwt.sql");
SQL(migrations_sql_015, "015_key_auth.sql");
SQL(migrations_sql_016, "016_oauth2.sql");
SQL(migrations_sql_017, "017_rate_limiting.sql");
SQL(migrations_sql_018, "018_response_ratelimiting.sql");
SQL(migrations_sql_019, "019_session.sql");
SQL(migrations_sql_900, "900_changes.sql");


const migrations_subsystem_t  migrations_kong[] = {
    { "core", migrations_sql_001, LIST(
        "000_base", "003_100_to_110", "004_110_to_120", "005_120_to_130",
        "006_130_to_140", "007_140_to_150", "008_150_to_200", "009_200_to_210",
        "010_210_to_211", "011_212_to_213", "012_213_to_220", "013_220_to_230",
        "014_230_to_270", "015_270_to_280", "016_280_to_300", "017_300_to_310",
        "018_310_to_320", "019_320_to_330", "020_330_to_340", "021_340_to_350",
        "022_350_to_360", "023_360_to_370", "024_380_to_390") },
    { "acl", migrations_sql_010, LIST(
        "000_base_acl", "002_130_to_140", "003_200_to_210",
        "004_212_to_213") },
    { "acme", migrations_sql_011, LIST(
        "000_base_acme", "001_280_to_300", "002_320_to_330",
        "003_350_to_360") },
    { "ai-proxy", NULL, LIST(
        "001_360_to_370") },
    { "basic-auth", migrations_sql_012, LIST(
        "000_base_basic_auth", "002_130_to_140", "003_200_to_210") },
    { "bot-detection", NULL, LIST(
        "001_200_to_210") },
    { "hmac-auth", migrations_sql_013, LIST(
        "000_base_hmac_auth", "002_130_to_140", "003_200_to_210") },
    { "http-log", NULL, LIST(
        "001_280_to_300") },
    { "ip-restriction", NULL, LIST(
        "001_200_to_210") },
    { "jwt", migrations_sql_014, LIST(
        "000_base_jwt", "002_130_to_140", "003_200_to_210") },
    { "key-auth", migrations_sql_015, LIST(
        "000_base_key_auth", "002_130_to_140", "003_200_to_210",
        "004_320_to_330") },
    { "oauth2", migrations_sql_016, LIST(
        "000_base_oauth2", "003_130_to_140", "004_200_to_210",
        "005_210_to_211", "006_320_to_330", "007_320_to_330") },
    { "opentelemetry", NULL, LIST(
        "001_331_to_332") },
    { "post-function", NULL, LIST(
        "001_280_to_300") },
    { "pre-function", NULL, LIST(
        "001_280_to_300") },
    { "rate-limiting", migrations_sql_017, LIST(
        "000_base_rate_limiting", "003_10_to_112", "004_200_to_210",
        "005_320_to_330", "006_350_to_360") },
    { "response-ratelimiting", migrations_sql_018, LIST(
        "000_base_response_rate_limiting", "001_350_to_360") },
    { "session", migrations_sql_019, LIST(
        "000_base_session", "001_add_ttl_index", "002_320_to_330") },
    { NULL, NULL, NULL }
};


const migrations_file_t  migrations_own[] = {
    { "900_changes", migrations_sql_900 },
    { NULL, NULL }
};
