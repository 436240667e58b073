-- What a restore leaves behind, and when backups were made. It only adds, so that the version
-- before goes on beside it.

-- Revisions that were given after the backup that this database was restored from, and are
-- lost: who saw one of them must see everything anew. Both absent where none was.
ALTER TABLE change_sequence
    ADD COLUMN lost_after bigint,
    ADD COLUMN lost_until bigint,
    ADD CONSTRAINT change_sequence_lost CHECK ((lost_after IS NULL) = (lost_until IS NULL));

-- The last backup of each kind of place, where there was one.
CREATE TABLE backups (
    place         text PRIMARY KEY CHECK (place IN ('file', 'folder', 'output')),
    backup_id     uuid NOT NULL,
    snapshot_time timestamptz NOT NULL,
    end_time      timestamptz NOT NULL DEFAULT now(),
    rows          bigint NOT NULL,
    bytes         bigint NOT NULL
);
GRANT SELECT ON backups TO streamspace_operator;
