/*
 * entity_cases: refused entities, with the error object and the message that
 * Kong 3.9 answers.  Included by test_entities.c alone.
 */

typedef struct {
    const char  *entity;
    const char  *in;
    const char  *fields;
    const char  *message;       /* NULL: not looked at */
} entity_case_t;


static const entity_case_t  entity_cases[] = {
    { "services",
      "{}",
      "{\"host\":\"required field missing\"}",
      "schema violation (host: required field missing)" },

    { "services",
      "{\"host\":\"h\",\"port\":70000}",
      "{\"port\":\"value should be between 0 and 65535\"}",
      "schema violation (port: value should be between 0 and 65535)" },

    { "services",
      "{\"host\":\"h\",\"port\":\"80\"}",
      "{\"port\":\"expected an integer\"}",
      "schema violation (port: expected an integer)" },

    { "services",
      "{\"host\":\"h\",\"protocol\":\"ftp\"}",
      "{\"protocol\":\"expected one of: grpc, grpcs, http, https, tcp, tls, t"
      "ls_passthrough, udp\"}",
      "schema violation (protocol: expected one of: grpc, grpcs, http, https,"
      " tcp, tls, tls_passthrough, udp)" },

    { "services",
      "{\"host\":\"h\",\"nope\":1}",
      "{\"nope\":\"unknown field\"}",
      "schema violation (nope: unknown field)" },

    { "services",
      "{\"host\":\"h\",\"path\":\"no-slash\"}",
      "{\"path\":\"should start with: /\"}",
      "schema violation (path: should start with: /)" },

    { "services",
      "{\"host\":\"h\",\"retries\":-1,\"connect_timeout\":0}",
      "{\"connect_timeout\":\"value should be between 1 and 2147483646\",\"re"
      "tries\":\"value should be between 0 and 32767\"}",
      "2 schema violations (connect_timeout: value should be between 1 and 21"
      "47483646; retries: value should be between 0 and 32767)" },

    { "services",
      "{\"url\":\"nonsense\"}",
      "{\"host\":\"required field missing\",\"path\":\"should start with: /\""
      "}",
      "2 schema violations (host: required field missing; path: should start "
      "with: /)" },

    { "services",
      "{\"host\":\"h\",\"name\":\"bad name\"}",
      "{\"name\":\"invalid value 'bad name': the only accepted ascii characte"
      "rs are alphanumerics or ., -, _, and ~\"}",
      "schema violation (name: invalid value 'bad name': the only accepted as"
      "cii characters are alphanumerics or ., -, _, and ~)" },

    { "services",
      "{\"host\":\"h\",\"tags\":[\"a,b\",\"c/d\"]}",
      "{\"tags\":[\"invalid tag 'a,b': expected printable ascii (except `,` a"
      "nd `/`) or valid utf-8 sequences\",\"invalid tag 'c/d': expected print"
      "able ascii (except `,` and `/`) or valid utf-8 sequences\"]}",
      "2 schema violations (tags.1: invalid tag 'a,b': expected printable asc"
      "ii (except `,` and `/`) or valid utf-8 sequences; tags.2: invalid tag "
      "'c/d': expected printable ascii (except `,` and `/`) or valid utf-8 se"
      "quences)" },

    { "services",
      "{\"host\":\"h\",\"client_certificate\":{\"id\":\"00000000-0000-4000-80"
      "00-000000000001\"}}",
      "{\"@entity\":[\"failed conditional validation given value of field 'pr"
      "otocol'\"],\"client_certificate\":\"value must be null\"}",
      "2 schema violations (failed conditional validation given value of fiel"
      "d 'protocol'; client_certificate: value must be null)" },

    { "services",
      "{\"host\":\"h\",\"tls_verify\":true}",
      "{\"@entity\":[\"failed conditional validation given value of field 'pr"
      "otocol'\"],\"tls_verify\":\"value must be null\"}",
      "2 schema violations (failed conditional validation given value of fiel"
      "d 'protocol'; tls_verify: value must be null)" },

    { "services",
      "{\"host\":\"h\",\"protocol\":\"tcp\",\"path\":\"/x\"}",
      "{\"@entity\":[\"failed conditional validation given value of field 'pr"
      "otocol'\"],\"path\":\"value must be null\"}",
      "2 schema violations (failed conditional validation given value of fiel"
      "d 'protocol'; path: value must be null)" },

    { "services",
      "{\"host\":\"\"}",
      "{\"host\":\"length must be at least 1\"}",
      "schema violation (host: length must be at least 1)" },

    { "services",
      "{\"host\":null}",
      "{\"host\":\"required field missing\"}",
      "schema violation (host: required field missing)" },

    { "services",
      "{\"id\":\"not-a-uuid\",\"host\":\"h\"}",
      "{\"id\":\"expected a valid UUID\"}",
      "schema violation (id: expected a valid UUID)" },

    { "routes",
      "{\"name\":\"x\"}",
      "{\"@entity\":[\"must set one of 'methods', 'hosts', 'headers', 'paths'"
      ", 'snis' when 'protocols' is 'https'\"]}",
      "schema violation (must set one of 'methods', 'hosts', 'headers', 'path"
      "s', 'snis' when 'protocols' is 'https')" },

    { "routes",
      "{\"paths\":[\"nope\"]}",
      "{\"paths\":[\"should start with: / (fixed path) or ~/ (regex path)\"]}",
      "schema violation (paths.1: should start with: / (fixed path) or ~/ (re"
      "gex path))" },

    { "routes",
      "{\"paths\":[\"~/[unclosed\"]}",
      "{\"paths\":[\"invalid regex: '/[unclosed' (PCRE returned: pcre2_compil"
      "e() failed: missing terminating ] for character class in \\\"/[unclose"
      "d\\\")\"]}",
      "schema violation (paths.1: invalid regex: '/[unclosed' (PCRE returned:"
      " pcre2_compile() failed: missing terminating ] for character class in "
      "\"/[unclosed\"))" },

    { "routes",
      "{\"hosts\":[\"bad host\"]}",
      "{\"hosts\":[\"invalid hostname: bad host\"]}",
      "schema violation (hosts.1: invalid hostname: bad host)" },

    { "routes",
      "{\"hosts\":[\"*.*.com\"]}",
      "{\"hosts\":[\"invalid wildcard: must have at most one wildcard\"]}",
      "schema violation (hosts.1: invalid wildcard: must have at most one wil"
      "dcard)" },

    { "routes",
      "{\"methods\":[\"get\"]}",
      "{\"methods\":[\"invalid value: get\"]}",
      "schema violation (methods.1: invalid value: get)" },

    { "routes",
      "{\"methods\":[\"G T\"]}",
      "{\"methods\":[\"invalid value: G T\"]}",
      "schema violation (methods.1: invalid value: G T)" },

    { "routes",
      "{\"protocols\":[\"http\",\"tcp\"],\"paths\":[\"/\"]}",
      "{\"protocols\":\"these sets are mutually exclusive: ('http', 'https'),"
      " ('tcp', 'tls', 'udp')\"}",
      "schema violation (protocols: these sets are mutually exclusive: ('http"
      "', 'https'), ('tcp', 'tls', 'udp'))" },

    { "routes",
      "{\"protocols\":[\"tcp\"],\"paths\":[\"/\"]}",
      "{\"@entity\":[\"must set one of 'sources', 'destinations', 'snis' when"
      " 'protocols' is 'tcp', 'tls' or 'udp'\"],\"paths\":\"cannot set 'paths"
      "' when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp'\"}",
      "2 schema violations (must set one of 'sources', 'destinations', 'snis'"
      " when 'protocols' is 'tcp', 'tls' or 'udp'; paths: cannot set 'paths' "
      "when 'protocols' is 'tcp', 'tls', 'tls_passthrough' or 'udp')" },

    { "routes",
      "{\"protocols\":[\"tcp\"]}",
      "{\"@entity\":[\"must set one of 'sources', 'destinations', 'snis' when"
      " 'protocols' is 'tcp', 'tls' or 'udp'\"]}",
      "schema violation (must set one of 'sources', 'destinations', 'snis' wh"
      "en 'protocols' is 'tcp', 'tls' or 'udp')" },

    { "routes",
      "{\"paths\":[\"/\"],\"https_redirect_status_code\":418}",
      "{\"https_redirect_status_code\":\"expected one of: 426, 301, 302, 307,"
      " 308\"}",
      "schema violation (https_redirect_status_code: expected one of: 426, 30"
      "1, 302, 307, 308)" },

    { "routes",
      "{\"paths\":[\"/\"],\"headers\":{\"host\":[\"x\"]}}",
      "{\"headers\":\"cannot contain 'host' header, which must be specified i"
      "n the 'hosts' attribute\"}",
      "schema violation (headers: cannot contain 'host' header, which must be"
      " specified in the 'hosts' attribute)" },

    { "routes",
      "{\"paths\":[\"/\"],\"regex_priority\":1.5}",
      "{\"regex_priority\":\"expected an integer\"}",
      "schema violation (regex_priority: expected an integer)" },

    { "routes",
      "{\"paths\":[\"/\"],\"service\":\"none\"}",
      "{\"service\":{\"id\":\"missing primary key\"}}",
      "schema violation (service.id: missing primary key)" },

    { "routes",
      "{\"snis\":[\"a.test\"],\"protocols\":[\"http\"]}",
      "{\"@entity\":[\"'snis' can only be set when 'protocols' is 'grpcs', 'h"
      "ttps', 'tls' or 'tls_passthrough'\",\"must set one of 'methods', 'host"
      "s', 'headers', 'paths' when 'protocols' is 'http'\"],\"snis\":\"length"
      " must be 0\"}",
      "3 schema violations ('snis' can only be set when 'protocols' is 'grpcs"
      "', 'https', 'tls' or 'tls_passthrough'; must set one of 'methods', 'ho"
      "sts', 'headers', 'paths' when 'protocols' is 'http'; snis: length must"
      " be 0)" },

    { "routes",
      "{\"paths\":[\"/%zz\"]}",
      "{\"paths\":[\"invalid url-encoded value: '%zz'\"]}",
      "schema violation (paths.1: invalid url-encoded value: '%zz')" },

    { "routes",
      "{\"paths\":[]}",
      "{\"@entity\":[\"must set one of 'methods', 'hosts', 'headers', 'paths'"
      ", 'snis' when 'protocols' is 'https'\"]}",
      "schema violation (must set one of 'methods', 'hosts', 'headers', 'path"
      "s', 'snis' when 'protocols' is 'https')" },

    { "routes",
      "{\"paths\":[\"/a//b\"]}",
      "{\"paths\":[\"must not have empty segments\"]}",
      "schema violation (paths.1: must not have empty segments)" },

    { "consumers",
      "{}",
      "{\"@entity\":[\"at least one of these fields must be non-empty: 'custo"
      "m_id', 'username'\"]}",
      "schema violation (at least one of these fields must be non-empty: 'cus"
      "tom_id', 'username')" },

    { "upstreams",
      "{\"name\":\"bad name\"}",
      "{\"name\":\"Invalid name ('bad name'); must be a valid hostname\"}",
      "schema violation (name: Invalid name ('bad name'); must be a valid hos"
      "tname)" },

    { "upstreams",
      "{\"name\":\"a\",\"slots\":5}",
      "{\"slots\":\"value should be between 10 and 65536\"}",
      "schema violation (slots: value should be between 10 and 65536)" },

    { "upstreams",
      "{\"name\":\"a\",\"algorithm\":\"random\"}",
      "{\"algorithm\":\"expected one of: consistent-hashing, least-connection"
      "s, round-robin, latency\"}",
      "schema violation (algorithm: expected one of: consistent-hashing, leas"
      "t-connections, round-robin, latency)" },

    { "upstreams",
      "{\"name\":\"a\",\"hash_on\":\"header\"}",
      "{\"@entity\":[\"failed conditional validation given value of field 'ha"
      "sh_on'\"],\"hash_on_header\":\"required field missing\"}",
      "2 schema violations (failed conditional validation given value of fiel"
      "d 'hash_on'; hash_on_header: required field missing)" },

    { "upstreams",
      "{\"name\":\"a\",\"hash_on\":\"cookie\",\"hash_on_cookie\":\"c\",\"hash"
      "_fallback\":\"ip\"}",
      "{\"@entity\":[\"failed conditional validation given value of field 'ha"
      "sh_on'\"],\"hash_fallback\":\"expected one of: none\"}",
      "2 schema violations (failed conditional validation given value of fiel"
      "d 'hash_on'; hash_fallback: expected one of: none)" },

    { "upstreams",
      "{\"name\":\"b\",\"hash_on\":\"header\",\"hash_on_header\":\"x-a\",\"ha"
      "sh_fallback\":\"header\",\"hash_fallback_header\":\"x-a\"}",
      "{\"@entity\":[\"values of these fields must be distinct: 'hash_on_head"
      "er', 'hash_fallback_header'\"]}",
      "schema violation (values of these fields must be distinct: 'hash_on_he"
      "ader', 'hash_fallback_header')" },

    { "upstreams",
      "{\"name\":\"c2\",\"healthchecks\":{\"threshold\":101}}",
      "{\"healthchecks\":{\"threshold\":\"value should be between 0 and 100\""
      "}}",
      "schema violation (healthchecks.threshold: value should be between 0 an"
      "d 100)" },

    { "upstreams",
      "{\"name\":\"c3\",\"healthchecks\":{\"active\":{\"http_path\":\"nope\"}"
      "}}",
      "{\"healthchecks\":{\"active\":{\"http_path\":\"should start with: /\"}"
      "}}",
      "schema violation (healthchecks.active: {\n  http_path = \"should start"
      " with: /\"\n})" },

    { "targets",
      "{\"target\":\"nope:99999\",\"upstream\":{\"id\":\"00000000-0000-4000-8"
      "000-000000000001\"}}",
      "{\"target\":\"Invalid target; not a valid hostname or ip address\"}",
      "schema violation (target: Invalid target; not a valid hostname or ip a"
      "ddress)" },

    { "targets",
      "{\"target\":\"h\",\"weight\":70000,\"upstream\":{\"id\":\"00000000-000"
      "0-4000-8000-000000000001\"}}",
      "{\"weight\":\"value should be between 0 and 65535\"}",
      "schema violation (weight: value should be between 0 and 65535)" },

    { "targets",
      "{\"upstream\":{\"id\":\"00000000-0000-4000-8000-000000000001\"}}",
      "{\"target\":\"required field missing\"}",
      "schema violation (target: required field missing)" },

    { "plugins",
      "{\"name\":\"acl\",\"config\":{}}",
      "{\"@entity\":[\"exactly one of these fields must be non-empty: 'config"
      ".allow', 'config.deny'\",\"at least one of these fields must be non-em"
      "pty: 'config.allow', 'config.deny'\"]}",
      "2 schema violations (exactly one of these fields must be non-empty: 'c"
      "onfig.allow', 'config.deny'; at least one of these fields must be non-"
      "empty: 'config.allow', 'config.deny')" },

    { "plugins",
      "{\"name\":\"ip-restriction\",\"config\":{}}",
      "{\"@entity\":[\"at least one of these fields must be non-empty: 'confi"
      "g.allow', 'config.deny'\"]}",
      "schema violation (at least one of these fields must be non-empty: 'con"
      "fig.allow', 'config.deny')" },

    { "plugins",
      "{\"name\":\"ip-restriction\",\"config\":{\"allow\":[\"300.1.1.1\"]}}",
      "{\"config\":{\"allow\":[\"invalid ip or cidr range: '300.1.1.1'\"]}}",
      "schema violation (config.allow: {\n  \"invalid ip or cidr range: '300."
      "1.1.1'\"\n})" },

    { "plugins",
      "{\"name\":\"request-termination\",\"config\":{\"status_code\":99}}",
      "{\"config\":{\"status_code\":\"value should be between 100 and 599\"}}",
      "schema violation (config.status_code: value should be between 100 and "
      "599)" },

    { "plugins",
      "{\"name\":\"request-termination\",\"config\":{\"message\":\"a\",\"body"
      "\":\"b\"}}",
      "{\"config\":\"message cannot be used with content_type or body\"}",
      "schema violation (config: message cannot be used with content_type or "
      "body)" },

    { "plugins",
      "{\"name\":\"jwt\",\"config\":{\"claims_to_verify\":[\"iat\"]}}",
      "{\"config\":{\"claims_to_verify\":[\"expected one of: exp, nbf\"]}}",
      "schema violation (config.claims_to_verify: {\n  \"expected one of: exp"
      ", nbf\"\n})" },

    { "plugins",
      "{\"name\":\"cors\",\"config\":{\"methods\":[\"FOO\"]}}",
      "{\"config\":{\"methods\":[\"expected one of: GET, HEAD, PUT, PATCH, PO"
      "ST, DELETE, OPTIONS, TRACE, CONNECT\"]}}",
      "schema violation (config.methods: {\n  \"expected one of: GET, HEAD, P"
      "UT, PATCH, POST, DELETE, OPTIONS, TRACE, CONNECT\"\n})" },

    { "plugins",
      "{\"name\":\"cors\",\"config\":{\"origins\":[\"[\"]}}",
      "{\"config\":{\"origins\":[\"'[' is not a valid regex\"]}}",
      "schema violation (config.origins: {\n  \"'[' is not a valid regex\"\n}"
      ")" },

    { "plugins",
      "{\"name\":\"request-transformer\",\"config\":{\"add\":{\"headers\":[\""
      "no-colon\"]}}}",
      "{\"config\":{\"add\":{\"headers\":[\"invalid value: no-colon\"]}}}",
      "schema violation (config.add: {\n  headers = {\n    \"invalid value: n"
      "o-colon\"\n  }\n})" },

    { "plugins",
      "{\"name\":\"request-transformer\",\"config\":{\"http_method\":\"get\"}"
      "}",
      "{\"config\":{\"http_method\":\"invalid value: get\"}}",
      "schema violation (config.http_method: invalid value: get)" },

    { "plugins",
      "{\"name\":\"http-log\",\"config\":{}}",
      "{\"config\":{\"http_endpoint\":\"required field missing\"}}",
      "schema violation (config.http_endpoint: required field missing)" },

    { "plugins",
      "{\"name\":\"http-log\",\"config\":{\"http_endpoint\":\"nope\"}}",
      "{\"config\":{\"http_endpoint\":\"missing host in url\"}}",
      "schema violation (config.http_endpoint: missing host in url)" },

    { "plugins",
      "{\"name\":\"file-log\",\"config\":{}}",
      "{\"config\":{\"path\":\"required field missing\"}}",
      "schema violation (config.path: required field missing)" },

    { "plugins",
      "{\"name\":\"file-log\",\"config\":{\"path\":\"bad\\\\path*\"}}",
      "{\"config\":{\"path\":\"not a valid filename\"}}",
      "schema violation (config.path: not a valid filename)" },

    { "plugins",
      "{\"name\":\"proxy-cache\",\"config\":{\"strategy\":\"disk\"}}",
      "{\"config\":{\"strategy\":\"expected one of: memory\"}}",
      "schema violation (config.strategy: expected one of: memory)" },

    { "plugins",
      "{\"name\":\"response-ratelimiting\",\"config\":{}}",
      "{\"config\":{\"limits\":\"required field missing\"}}",
      "schema violation (config.limits: required field missing)" },

    { "plugins",
      "{\"name\":\"bot-detection\",\"config\":{\"deny\":[\"(\"]}}",
      "{\"config\":{\"deny\":[\"not a valid regex: (\"]}}",
      "schema violation (config.deny: {\n  \"not a valid regex: (\"\n})" },

    { "plugins",
      "{\"name\":\"request-size-limiting\",\"config\":{\"size_unit\":\"gigs\""
      "}}",
      "{\"config\":{\"size_unit\":\"expected one of: megabytes, kilobytes, by"
      "tes\"}}",
      "schema violation (config.size_unit: expected one of: megabytes, kiloby"
      "tes, bytes)" },

    { "plugins",
      "{\"name\":\"rate-limiting\",\"config\":{\"minute\":0}}",
      "{\"config\":{\"minute\":\"value must be greater than 0\"}}",
      "schema violation (config.minute: value must be greater than 0)" },

    { "plugins",
      "{\"name\":\"rate-limiting\",\"config\":{\"second\":1,\"policy\":\"redi"
      "s\"}}",
      "{\"@entity\":[\"failed conditional validation given value of field 'co"
      "nfig.policy'\"],\"config\":{\"redis\":{\"host\":\"required field missi"
      "ng\"}}}",
      "2 schema violations (failed conditional validation given value of fiel"
      "d 'config.policy'; config.redis: {\n  host = \"required field missing"
      "\"\n})" },

    { "plugins",
      "{\"name\":\"rate-limiting\",\"config\":{\"second\":1,\"limit_by\":\"he"
      "ader\"}}",
      "{\"@entity\":[\"failed conditional validation given value of field 'co"
      "nfig.limit_by'\"],\"config\":{\"header_name\":\"required field missing"
      "\"}}",
      "2 schema violations (failed conditional validation given value of fiel"
      "d 'config.limit_by'; config.header_name: required field missing)" },

    { "plugins",
      "{\"name\":\"hmac-auth\",\"config\":{\"algorithms\":[\"md5\"]}}",
      "{\"config\":{\"algorithms\":[\"expected one of: hmac-sha1, hmac-sha256"
      ", hmac-sha384, hmac-sha512\"]}}",
      "schema violation (config.algorithms: {\n  \"expected one of: hmac-sha1"
      ", hmac-sha256, hmac-sha384, hmac-sha512\"\n})" },

    { "plugins",
      "{\"name\":\"correlation-id\",\"config\":{\"generator\":\"x\"}}",
      "{\"config\":{\"generator\":\"expected one of: uuid, uuid#counter, trac"
      "ker\"}}",
      "schema violation (config.generator: expected one of: uuid, uuid#counte"
      "r, tracker)" },

    { "snis",
      "{\"name\":\"*.*.test\"}",
      "{\"certificate\":\"required field missing\",\"name\":\"only one wildca"
      "rd must be specified\"}",
      "2 schema violations (certificate: required field missing; name: only o"
      "ne wildcard must be specified)" },

    { "keys",
      "{\"name\":\"k1\",\"kid\":\"kid1\",\"jwk\":\"{\\\"kty\\\":\\\"oct\\\","
      "\\\"k\\\":\\\"abc\\\",\\\"kid\\\":\\\"kid1\\\"}\",\"set\":{\"id\":\"00"
      "000000-0000-4000-8000-000000000001\"}}",
      "{\"@entity\":[\"could not load JWK, likely not a valid key\"]}",
      "schema violation (could not load JWK, likely not a valid key)" },

    { "keys",
      "{\"name\":\"k2\"}",
      "{\"@entity\":[\"at least one of these fields must be non-empty: 'jwk',"
      " 'pem'\"],\"kid\":\"required field missing\"}",
      "2 schema violations (at least one of these fields must be non-empty: '"
      "jwk', 'pem'; kid: required field missing)" },

    { "vaults",
      "{\"name\":\"env\",\"prefix\":\"bad prefix\"}",
      "{\"prefix\":\"invalid value: bad prefix\"}",
      "schema violation (prefix: invalid value: bad prefix)" },

    { "vaults",
      "{\"name\":\"none\",\"prefix\":\"pp\"}",
      "{\"name\":\"vault 'none' is not installed\"}",
      "schema violation (name: vault 'none' is not installed)" },

    { "plugins",
      "{\"name\":\"cors\",\"config\":{\"max_age\":\"x\"}}",
      "{\"config\":{\"max_age\":\"expected a number\"}}",
      "schema violation (config.max_age: expected a number)" },

    { "routes",
      "{\"protocols\":[\"ftp\"]}",
      "{\"protocols\":\"unknown type: ftp\"}",
      NULL },

    { "routes",
      "{\"protocols\":[]}",
      "{\"protocols\":\"unknown type: nil\"}",
      NULL },

    { "routes",
      "{\"protocols\":null}",
      "{\"protocols\":\"required field missing\"}",
      NULL },

    { "routes",
      "{\"protocols\":[\"grpc\"],\"paths\":[\"/\"],\"strip_path\":true}",
      "{\"strip_path\":\"cannot set 'strip_path' when 'protocols' is 'grpc' o"
      "r 'grpcs'\"}",
      NULL },

    { "routes",
      "{\"protocols\":[\"grpc\"],\"methods\":[\"GET\"]}",
      "{\"methods\":\"cannot set 'methods' when 'protocols' is 'grpc' or 'grp"
      "cs'\",\"@entity\":[\"must set one of 'hosts', 'headers', 'paths' when "
      "'protocols' is 'grpc'\"]}",
      NULL },

    { "routes",
      "{\"protocols\":[\"grpcs\"]}",
      "{\"@entity\":[\"must set one of 'hosts', 'headers', 'paths', 'snis' wh"
      "en 'protocols' is 'grpcs'\"]}",
      NULL },

    { "routes",
      "{\"protocols\":[\"tls_passthrough\"]}",
      "{\"@entity\":[\"must set snis when 'protocols' is 'tls_passthrough'\"]"
      "}",
      NULL },

    { "routes",
      "{\"paths\":[\"/\"],\"sources\":[{\"ip\":\"1.2.3.4\"}]}",
      "{\"sources\":\"cannot set 'sources' when 'protocols' is 'http' or 'htt"
      "ps'\"}",
      NULL },

    { "routes",
      "{\"protocols\":[\"tcp\"],\"sources\":[{},{\"ip\":\"x\"}]}",
      "{\"sources\":[{\"@entity\":[\"at least one of these fields must be non"
      "-empty: 'ip', 'port'\"]},{\"ip\":\"invalid ip or cidr range: 'x'\"}]}",
      NULL },

    { "routes",
      "{\"paths\":[\"/a/../b\",\"/ok\",\"/%61\"]}",
      "{\"paths\":[\"non-normalized path, consider use '/b' instead\",null,\""
      "non-normalized path, consider use '/a' instead\"]}",
      NULL },

    { "routes",
      "{\"hosts\":[\"a*.b\",\"*\",\"x.*:80\",\"*.b:99999\",\"1.2.3\",\"fe80::"
      "g\"]}",
      "{\"hosts\":[\"invalid wildcard: must be placed at leftmost or rightmos"
      "t label\",\"invalid wildcard: must be placed at leftmost or rightmost "
      "label\",null,\"invalid port number\",\"invalid ipv4 address: 1.2.3\","
      "\"invalid ipv6 address: fe80::g\"]}",
      NULL },

    { "routes",
      "{\"snis\":[\"*.a.test\",\"a.*\",\"a.*.b\",\"*.*\",\"1.2.3.4\",\"a:1\","
      "\"*\"]}",
      "{\"snis\":[null,null,\"wildcard must be leftmost or rightmost characte"
      "r\",\"only one wildcard must be specified\",\"must not be an IP\",\"mu"
      "st not have a port\"]}",
      NULL },

    { "services",
      "{\"url\":\"h.com/p\"}",
      "{\"host\":\"required field missing\",\"path\":\"should start with: /\""
      "}",
      "2 schema violations (host: required field missing; path: should start "
      "with: /)" },

    { "services",
      "{\"host\":\"h:80\"}",
      "{\"host\":\"must not have a port\"}",
      "schema violation (host: must not have a port)" },

    { "services",
      "{\"host\":\"h\",\"path\":\"/a//b\"}",
      "{\"path\":\"must not have empty segments\"}",
      NULL },

    { "services",
      "{\"host\":\"h\",\"path\":\"/a b\"}",
      "{\"path\":\"invalid path: '/a b' (characters outside of the reserved l"
      "ist of RFC 3986 found)\"}",
      NULL },

    { "services",
      "{\"host\":\"h\",\"path\":\"/%4\"}",
      "{\"path\":\"invalid url-encoded value: '%4'\"}",
      NULL },

    { "services",
      "{\"host\":\"a-.b\"}",
      "{\"host\":\"invalid value: a-.b\"}",
      NULL },

    { "services",
      "{\"host\":\"a..b\"}",
      "{\"host\":\"invalid value: a..b\"}",
      NULL },

    { "services",
      "{\"host\":\"h\",\"ca_certificates\":[\"x\"],\"protocol\":\"https\"}",
      "{\"ca_certificates\":[\"expected a valid UUID\"]}",
      NULL },

    { "plugins",
      "{}",
      "{\"name\":\"required field missing\"}",
      "schema violation (name: required field missing)" },

    { "plugins",
      "{\"name\":5}",
      "{\"name\":\"plugin '5' not enabled; add it to the 'plugins' configurat"
      "ion property\"}",
      NULL },

    { "plugins",
      "{\"name\":\"rate-limiting\",\"config\":{\"minute\":0,\"foo\":1}}",
      "{\"config\":{\"foo\":\"unknown field\",\"minute\":\"value must be grea"
      "ter than 0\"}}",
      "2 schema violations (config.foo: unknown field; config.minute: value m"
      "ust be greater than 0)" },

    { "plugins",
      "{\"name\":\"cors\",\"consumer\":{\"id\":\"00000000-0000-4000-8000-0000"
      "00000001\"}}",
      "{\"consumer\":\"value must be null\"}",
      "schema violation (consumer: value must be null)" },

    { "upstreams",
      "{\"name\":\"1.2.3.4\"}",
      "{\"name\":\"Invalid name ('1.2.3.4'); no ip addresses allowed\"}",
      NULL },

    { "upstreams",
      "{\"name\":\"a:80\"}",
      "{\"name\":\"Invalid name ('a:80'); no port allowed\"}",
      NULL },

    { "upstreams",
      "{\"algorithm\":1,\"name\":1}",
      "{\"algorithm\":\"expected a string\"}",
      NULL },

    { "upstreams",
      "{\"name\":\"a\",\"hash_on\":\"ip\",\"hash_fallback\":\"ip\"}",
      "{\"@entity\":[\"failed conditional validation given value of field 'ha"
      "sh_on'\"],\"hash_fallback\":\"expected one of: none, consumer, header,"
      " cookie, path, query_arg, uri_capture\"}",
      NULL },

    { "vaults",
      "{\"name\":\"env\",\"prefix\":\"env\"}",
      "{\"prefix\":\"must not be one of: env\"}",
      NULL },

    { "vaults",
      "{\"name\":\"env\",\"prefix\":\"my-env\",\"config\":{\"prefix\":\"1x\","
      "\"y\":1}}",
      "{\"config\":{\"prefix\":\"invalid value: 1x\",\"y\":\"unknown field\"}"
      "}",
      NULL },

    { "jwt_secrets",
      "{\"algorithm\":\"RS256\",\"consumer\":{\"id\":\"00000000-0000-4000-800"
      "0-000000000001\"}}",
      "{\"@entity\":[\"failed conditional validation given value of field 'al"
      "gorithm'\"],\"rsa_public_key\":\"required field missing\"}",
      NULL },

    { "jwt_secrets",
      "{\"algorithm\":\"RS256\",\"rsa_public_key\":\"x\",\"consumer\":{\"id\""
      ":\"00000000-0000-4000-8000-000000000001\"}}",
      "{\"@entity\":[\"failed conditional validation given value of field 'al"
      "gorithm'\"],\"rsa_public_key\":\"invalid key\"}",
      NULL },

    { "oauth2_credentials",
      "{\"name\":\"n\",\"redirect_uris\":[\"x\",\"http://a/#f\"],\"consumer\""
      ":{\"id\":\"00000000-0000-4000-8000-000000000001\"}}",
      "{\"redirect_uris\":[\"cannot parse 'x'\",\"fragment not allowed in 'ht"
      "tp://a/#f'\"]}",
      NULL },

    { "keys",
      "{\"kid\":\"a\",\"jwk\":\"{\"}",
      "{\"@entity\":[\"could not json decode jwk string\"]}",
      NULL },

    { "keys",
      "{\"kid\":\"a\",\"jwk\":\"{\\\"kid\\\":\\\"b\\\"}\"}",
      "{\"@entity\":[\"kid in jwk.kid must be equal to keys.kid\"]}",
      NULL },

    { "keys",
      "{\"kid\":\"a\",\"jwk\":\"{}\",\"pem\":{\"public_key\":\"x\"}}",
      "{\"@entity\":[\"only one or none of these fields must be set: 'jwk', '"
      "pem'\",\"kid in jwk.kid must be equal to keys.kid\"],\"pem\":{\"@entit"
      "y\":[\"could not load public key\"]}}",
      NULL },

    { "filter_chains",
      "{\"filters\":[{}]}",
      "{\"filters\":[{\"name\":\"required field missing\"}],\"@entity\":[\"at"
      " least one of these fields must be non-empty: 'route', 'service'\"]}",
      NULL }
};
