//! A crowd: a region with far more tenants and sessions than a story could make one after
//! the other, as rows of its database that no cluster has objects for.
//!
//! The daemon serves them as it serves all rows, and its watchers are told what is done to
//! them. It would also see to it that the cluster has the tenants and that the rows of
//! sessions are those of the cluster, when it looks at all of them: so it must lead already
//! when they come, go on leading, and be told before it starts to look seldom
//! ([`leave_alone`]).

#![allow(clippy::expect_used, reason = "a panic fails the story, as it should")]

use jiff::Timestamp;
use prost::Message as _;
use sqlx::{PgConnection, PgPool};
use streamspace_core::session::{SessionPhase, SessionState};
use streamspace_proto::v1;
use uuid::Uuid;

use crate::{
    random::Random,
    region::Region,
    wait::{holds, until},
};

/// How many rows a statement writes.
const BATCH: usize = 5000;
/// What most sessions are, and what some are.
const MIX: [SessionPhase; 8] = [
    SessionPhase::Running,
    SessionPhase::Running,
    SessionPhase::Running,
    SessionPhase::Hibernated,
    SessionPhase::Running,
    SessionPhase::Running,
    SessionPhase::Pending,
    SessionPhase::Running,
];

/// Lets the daemon look at its tenants when something happens to them, and not now and then.
/// It counts from the next start on.
pub fn leave_alone(region: &Region) {
    region.set("tenants", "resync_seconds", 86_400);
}

/// Waits until the daemon leads and has listed the sessions of its cluster since it was
/// started: what comes later is left alone.
pub async fn is_listed(region: &Region) {
    until("the sessions of the cluster are listed", async || {
        let log = region.log();
        let since = log.rfind(r#""message":"listening""#).map_or("", |at| log.split_at(at).1);
        holds(since.contains("sessions and homes are listed"), || "not yet".to_owned())
    })
    .await;
}

/// The tenants and sessions that were added.
#[derive(Debug)]
pub struct Crowd {
    pool: PgPool,
    /// Identity and id of each tenant.
    tenants: Vec<(Uuid, String)>,
    /// How each session is; none where it is gone.
    sessions: Vec<Option<SessionPhase>>,
    /// The identity of the first session; the others count on from it.
    first: u128,
    /// When they were created and used, in seconds since 1970.
    begin: i64,
}

impl Crowd {
    /// Adds so many tenants, which are as the tenant with this id is, and so many sessions,
    /// dealt out among them. Watchers that are open are not told; those that open see them.
    pub async fn gather(pool: PgPool, like: &str, tenants: usize, sessions: usize) -> Self {
        let added: Vec<(Uuid, String)> = sqlx::query_as(
            "INSERT INTO tenants SELECT (jsonb_populate_record(t, jsonb_build_object(
                 'tenant_uid', gen_random_uuid(),
                 'tenant_id', 'crowd-' || lpad(number::text, 5, '0'),
                 'namespace', replace(t.namespace, t.tenant_id, '') || 'crowd-' || number,
                 'display_name', 'Crowd ' || number,
                 'seats', 1 + number % 500))).*
             FROM tenants AS t, generate_series(1, $2) AS number
             WHERE t.tenant_id = $1 AND t.state <> 'gone'
             RETURNING tenant_uid, tenant_id",
        )
        .bind(like)
        .bind(i64::try_from(tenants).expect("few enough"))
        .fetch_all(&pool)
        .await
        .expect("tenants are added");
        assert_eq!(added.len(), tenants, "there is no tenant {like}");
        let crowd = Self {
            pool,
            tenants: added,
            sessions: MIX.iter().copied().cycle().map(Some).take(sessions).collect(),
            first: Uuid::new_v4().as_u128(),
            begin: Timestamp::now().as_second(),
        };
        let numbers: Vec<usize> = (0..sessions).collect();
        let mut connection = crowd.pool.acquire().await.expect("a connection");
        for batch in numbers.chunks(BATCH) {
            crowd.upsert(&mut connection, batch).await;
        }
        sqlx::query("ANALYZE tenants, sessions").execute(&mut *connection).await.expect("counted");
        crowd
    }

    /// Does something to so many sessions, as a busy region does: they fall asleep and wake,
    /// and now and then one ends or begins. Watchers are told.
    pub async fn stir(&mut self, random: &mut Random, count: usize) {
        let mut chosen: Vec<usize> = (0..count).map(|_| self.any(random)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        let (mut live, mut gone, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for number in chosen {
            let before = self.sessions.get(number).copied().flatten();
            let (after, word) = match before {
                None => (Some(SessionPhase::Running), "created"),
                Some(_) if random.below(8) == 0 => (None, "deleted"),
                Some(SessionPhase::Running) => (Some(SessionPhase::Hibernated), "updated"),
                Some(_) => (Some(SessionPhase::Running), "updated"),
            };
            // What is deleted is told as it was last.
            let shown = after.or(before).unwrap_or(SessionPhase::Running);
            told.push((number, word, self.session(number, shown)));
            if after.is_some() {
                live.push(number);
            } else {
                gone.push(self.uid(number));
            }
            if let Some(session) = self.sessions.get_mut(number) {
                *session = after;
            }
        }
        let mut tx = self.pool.begin().await.expect("a transaction");
        self.upsert(&mut tx, &live).await;
        sqlx::query("DELETE FROM sessions WHERE session_uid = ANY ($1)")
            .bind(gone)
            .execute(&mut *tx)
            .await
            .expect("rows go");
        self.tell(&mut tx, &told).await;
        tx.commit().await.expect("it is committed");
    }

    /// How many tenants it has.
    pub fn tenants(&self) -> usize {
        self.tenants.len()
    }

    /// How many sessions it has now.
    pub fn sessions(&self) -> usize {
        self.sessions.iter().flatten().count()
    }

    fn any(&self, random: &mut Random) -> usize {
        let end = u64::try_from(self.sessions.len()).expect("few enough");
        usize::try_from(random.below(end)).expect("few enough")
    }

    fn uid(&self, number: usize) -> Uuid {
        let number = u128::try_from(number).expect("few enough");
        Uuid::from_u128(self.first.wrapping_add(number))
    }

    fn tenant(&self, number: usize) -> &(Uuid, String) {
        self.tenants.get(number % self.tenants.len()).expect("the crowd has tenants")
    }

    fn session(&self, number: usize, phase: SessionPhase) -> v1::Session {
        let created = Some(prost_types::Timestamp { seconds: self.begin, nanos: 0 });
        let node = match phase {
            SessionPhase::Running => format!("node-{}", number % 250),
            _ => String::new(),
        };
        let (state, proto) = match phase {
            SessionPhase::Hibernated => {
                (v1::SessionState::Hibernated, v1::SessionPhase::Hibernated)
            }
            SessionPhase::Pending => (v1::SessionState::Running, v1::SessionPhase::Pending),
            _ => (v1::SessionState::Running, v1::SessionPhase::Running),
        };
        v1::Session {
            name: format!("tenants/{}/sessions/{}", self.tenant(number).1, self.name(number)),
            uid: self.uid(number).to_string(),
            user: format!("user-{}", number % 997),
            template: "firefox".into(),
            state: state.into(),
            phase: proto.into(),
            cpu: "250m".into(),
            memory: "512Mi".into(),
            node,
            create_time: created,
            last_activity_time: created,
            generation: 1,
            ..v1::Session::default()
        }
    }

    fn name(&self, number: usize) -> String {
        format!("desk-{}", number / self.tenants.len())
    }

    /// Writes the rows of the sessions with these numbers.
    async fn upsert(&self, connection: &mut PgConnection, numbers: &[usize]) {
        let phase = |number: usize| self.sessions.get(number).copied().flatten();
        let rows: Vec<_> = numbers
            .iter()
            .filter_map(|&number| Some((number, phase(number)?)))
            .map(|(number, phase)| (number, phase, self.session(number, phase)))
            .collect();
        let state = |phase: SessionPhase| match phase {
            SessionPhase::Hibernated => SessionState::Hibernated,
            _ => SessionState::Running,
        };
        let all = || rows.iter();
        sqlx::query(
            "INSERT INTO sessions (tenant_uid, name, session_uid, resource_version, generation,
                 user_name, template, state, phase, deleting, pods, cpu, cpu_limit, memory,
                 memory_limit, node, last_activity, create_time, resource)
             SELECT tenant_uid, name, session_uid, 1, 1, user_name, 'firefox', state, phase,
                 false, 1, 250, 500, 512::bigint << 20, 512::bigint << 20, node,
                 to_timestamp($1), to_timestamp($1), resource
             FROM UNNEST($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[],
                 $8::text[], $9::bytea[])
                 AS row (tenant_uid, name, session_uid, user_name, state, phase, node, resource)
             ON CONFLICT (tenant_uid, name) DO UPDATE SET state = excluded.state,
                 phase = excluded.phase, node = excluded.node, resource = excluded.resource",
        )
        .bind(self.begin)
        .bind(all().map(|it| self.tenant(it.0).0).collect::<Vec<_>>())
        .bind(all().map(|it| self.name(it.0)).collect::<Vec<_>>())
        .bind(all().map(|it| self.uid(it.0)).collect::<Vec<_>>())
        .bind(all().map(|it| it.2.user.as_str()).collect::<Vec<_>>())
        .bind(all().map(|it| state(it.1).as_str()).collect::<Vec<_>>())
        .bind(all().map(|it| it.1.as_str()).collect::<Vec<_>>())
        .bind(all().map(|it| it.2.node.as_str()).collect::<Vec<_>>())
        .bind(all().map(|it| it.2.encode_to_vec()).collect::<Vec<_>>())
        .execute(connection)
        .await
        .expect("sessions are written");
    }

    /// Tells watchers, as the daemon does where it changes sessions.
    async fn tell(&self, connection: &mut PgConnection, told: &[(usize, &str, v1::Session)]) {
        let tenants: Vec<Uuid> = told.iter().map(|it| self.tenant(it.0).0).collect();
        let resource = |session: &v1::Session| {
            let session = v1::resource::Resource::Session(session.clone());
            v1::Resource { resource: Some(session) }.encode_to_vec()
        };
        // Before an identity is drawn, so that the identities follow the commits.
        sqlx::query(
            "SELECT FROM tenants WHERE tenant_uid = ANY ($1) ORDER BY tenant_uid
             FOR NO KEY UPDATE",
        )
        .bind(&tenants)
        .execute(&mut *connection)
        .await
        .expect("tenants are locked");
        sqlx::query(
            "INSERT INTO changes (tenant_uid, kind, type, name, actor, resource)
             SELECT tenant_uid, 'session', type, name, 'streamspaced', resource
             FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::bytea[])
                 AS told (tenant_uid, type, name, resource)",
        )
        .bind(tenants)
        .bind(told.iter().map(|it| it.1).collect::<Vec<_>>())
        .bind(told.iter().map(|it| it.2.name.as_str()).collect::<Vec<_>>())
        .bind(told.iter().map(|it| resource(&it.2)).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await
        .expect("changes are written");
        sqlx::query("SELECT pg_notify('streamspace_changes', '')")
            .execute(connection)
            .await
            .expect("the daemon is woken");
    }
}
