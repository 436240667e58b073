-- What is to be told to people and systems outside, and what an Alertmanager tells us. All
-- of it is the region's own: no tenant sees any of it. It only adds, so that the version
-- before goes on beside it.

-- One row for each notice and channel.
CREATE TABLE notify_outbox (
    notice_uid   uuid PRIMARY KEY,
    -- The order within one channel and key.
    position     bigint GENERATED ALWAYS AS IDENTITY,
    channel      text NOT NULL,
    dedup_key    text NOT NULL,
    action       text NOT NULL CHECK (action IN ('trigger', 'acknowledge', 'resolve', 'publish', 'silence', 'unsilence', 'test')),
    -- Tells two notices of one key and action apart.
    step         text NOT NULL,
    message      jsonb NOT NULL,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'refused', 'expired')),
    -- Raised before each try.
    attempts     integer NOT NULL DEFAULT 0,
    -- Not tried before it. While somebody tries: until when they are waited for.
    next_time    timestamptz NOT NULL DEFAULT now(),
    -- The leader term in which it is being tried; absent while nobody tries.
    claim_term   bigint,
    -- What the last try met.
    problem      text NOT NULL DEFAULT '',
    create_time  timestamptz NOT NULL DEFAULT now(),
    settle_time  timestamptz,
    UNIQUE (channel, dedup_key, action, step)
) WITH (fillfactor = 80);
CREATE INDEX notify_outbox_waiting ON notify_outbox (channel, dedup_key, position) WHERE state = 'waiting';
CREATE INDEX notify_outbox_order ON notify_outbox (position DESC);
CREATE INDEX notify_outbox_settled ON notify_outbox (settle_time) WHERE settle_time IS NOT NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON notify_outbox TO streamspace_operator;

-- What a receiver itself calls a thing that we made there.
CREATE TABLE notify_remotes (
    channel     text NOT NULL,
    dedup_key   text NOT NULL,
    thing       text NOT NULL CHECK (thing IN ('alert', 'incident', 'silence')),
    remote_id   text NOT NULL,
    update_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (channel, dedup_key, thing)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON notify_remotes TO streamspace_operator;

-- How a channel was of late.
CREATE TABLE notify_channels (
    channel      text PRIMARY KEY,
    success_time timestamptz,
    error_time   timestamptz,
    error        text NOT NULL DEFAULT ''
);
GRANT SELECT, INSERT, UPDATE ON notify_channels TO streamspace_operator;

-- Alerts that an Alertmanager sent, until somebody takes them.
CREATE TABLE inbound_alerts (
    fingerprint   text NOT NULL,
    start_time    timestamptz NOT NULL,
    firing        boolean NOT NULL,
    labels        jsonb NOT NULL,
    annotations   jsonb NOT NULL,
    end_time      timestamptz,
    generator_url text NOT NULL,
    handled       boolean NOT NULL DEFAULT false,
    receive_time  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (fingerprint, start_time)
);
CREATE INDEX inbound_alerts_unhandled ON inbound_alerts (receive_time) WHERE NOT handled;
CREATE INDEX inbound_alerts_handled ON inbound_alerts (receive_time) WHERE handled;
GRANT SELECT, INSERT, UPDATE, DELETE ON inbound_alerts TO streamspace_operator;
