-- What was told of alerts that wait for the morning, and incidents that come back. It only
-- adds, so that the version before goes on beside it.

-- When the channels for tickets were told that it fires; absent while they were not.
ALTER TABLE alerts ADD COLUMN ticket_time timestamptz;
-- Whether nothing more is to be told of it.
ALTER TABLE alerts ADD COLUMN ticket_over boolean NOT NULL DEFAULT false;
-- Those of which something is to be told, or may be.
CREATE INDEX alerts_tickets ON alerts (kind, rule, subject)
    WHERE severity = 'ticket' AND NOT ticket_over AND (end_time IS NULL OR ticket_time IS NOT NULL);
CREATE INDEX alerts_ticket_times ON alerts (kind, rule, subject, ticket_time DESC)
    WHERE ticket_time IS NOT NULL;

-- Whether it ended with its last alert, and not by a person.
ALTER TABLE incidents ADD COLUMN self_resolved boolean NOT NULL DEFAULT false;
-- How often its alerts opened it again.
ALTER TABLE incidents ADD COLUMN return_count integer NOT NULL DEFAULT 0;
-- The last one about the same.
CREATE INDEX incidents_key ON incidents (dedup_key, incident_number DESC)
    WHERE dedup_key IS NOT NULL;
