-- Kong 3.9's table of the plugin response-ratelimiting.

CREATE TABLE response_ratelimiting_metrics (
    identifier  text NOT NULL,
    period      text NOT NULL,
    period_date timestamptz NOT NULL,
    service_id  uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    route_id    uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    value       integer,
    CONSTRAINT response_ratelimiting_metrics_pkey
        PRIMARY KEY (identifier, period, period_date, service_id, route_id)
);
