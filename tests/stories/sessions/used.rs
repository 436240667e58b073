//! What sessions really use, from a real Prometheus to the command line.

use streamspace_proto::v1::{self, SessionPhase};
use streamspace_tests::{
    prometheus::Prometheus,
    region::shared_cluster,
    runtime::story,
    wait::{holds, within},
};

use super::scene::{PATIENCE, Scene, TENANT};

const MEBIBYTE: i128 = 1 << 20;

/// What a node tells of one pod, and a store of recordings of its namespace.
fn told(namespace: &str, pod: &str, cpu: f64, sent: u64) -> String {
    let of = format!("namespace=\"{namespace}\",pod=\"{pod}\"");
    format!(
        "# TYPE container_cpu_usage_seconds_total counter\n\
         container_cpu_usage_seconds_total{{{of},container=\"desktop\"}} {cpu}\n\
         # TYPE container_memory_working_set_bytes gauge\n\
         container_memory_working_set_bytes{{{of},container=\"desktop\"}} {}\n\
         # TYPE container_network_transmit_bytes_total counter\n\
         container_network_transmit_bytes_total{{{of},interface=\"eth0\"}} {sent}\n\
         # TYPE streamspace_recordings_bytes gauge\n\
         streamspace_recordings_bytes{{namespace=\"{namespace}\"}} {}\n",
        64 * MEBIBYTE,
        10 * MEBIBYTE,
    )
}

#[test]
fn what_a_session_uses_is_shown_beside_what_it_requests() {
    story(async {
        let prometheus = Prometheus::start().await;
        let scene = Scene::on(shared_cluster().await).await;
        scene.region.stop().await;
        scene.region.set(
            "usage",
            "actual",
            toml::Table::from_iter([
                ("period_seconds".to_owned(), toml::Value::from(15)),
                ("prometheus".to_owned(), prometheus.url().into()),
                (
                    "cpu_query".to_owned(),
                    "sum by (namespace, pod) (container_cpu_usage_seconds_total)".into(),
                ),
                (
                    "memory_query".to_owned(),
                    "sum by (namespace, pod) (container_memory_working_set_bytes)".into(),
                ),
                (
                    "recordings_query".to_owned(),
                    "sum by (namespace) (streamspace_recordings_bytes)".into(),
                ),
            ]),
        );
        scene.region.launch().await;
        scene.region.is_well().await;
        // It was measured before the pod was there, so that its counters count from nothing.
        within(PATIENCE, "each of the four is read", async || {
            let sources = sources(&scene).await?;
            let read = |it: &&v1::ActualUseSource| it.last_read_time.is_some();
            holds(sources.iter().filter(read).count() == 4, || format!("{sources:?}"))
        })
        .await;

        let name = format!("{TENANT}/desk");
        let line = ["session", "create", &name, "--user", "ada", "--template", "firefox", "--wait"];
        scene.ok(&line).await;
        let session = scene.until("desk", SessionPhase::Running).await;
        let namespace = scene.region.namespace(TENANT);
        prometheus.say(told(&namespace, &session.pod_name, 1.5, 3_000));
        used(&scene, 1_500, 3_000).await;
        prometheus.say(told(&namespace, &session.pod_name, 4.25, 7_001));
        let used = used(&scene, 4_250, 7_001).await;

        // Levels by the time that they are known of, to the unit: since the second reading.
        let whole = |text: &str| text.parse::<i128>().unwrap();
        let memory = whole(used.memory_byte_seconds.as_deref().unwrap());
        assert_eq!(memory, 64 * MEBIBYTE * whole(&used.memory_covered_seconds));
        let recordings = whole(used.recording_byte_seconds.as_deref().unwrap());
        assert_eq!(recordings, 10 * MEBIBYTE * whole(&used.recording_covered_seconds));
        assert!(memory > 0 && recordings > 0, "{used:?}");
        let shown = scene.ok(&["usage", "show", TENANT]).await;
        shown.prints("Used").prints("Showback").prints("GiB sent");
        // Nothing of it comes into what is counted.
        scene.ok(&["usage", "verify"]).await;
        let sources = sources(&scene).await.unwrap();
        assert!(sources.iter().all(|it| it.problem.is_empty()), "{sources:?}");
    });
}

async fn sources(scene: &Scene) -> Result<Vec<v1::ActualUseSource>, String> {
    let mut usage = scene.region.admin().connection().usage();
    let status = usage.get_usage_status(v1::GetUsageStatusRequest {}).await;
    Ok(status.map_err(|status| status.to_string())?.into_inner().actual_sources)
}

/// What the tenant used, once its counters stand there.
async fn used(scene: &Scene, millicore_seconds: u64, sent: u64) -> v1::ActualUse {
    within(2 * PATIENCE, "its use is known", async || {
        let now = jiff::Timestamp::now().as_second();
        let hour = now - now.rem_euclid(3600);
        let instant = |seconds: i64| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let request = v1::QueryUsageRequest {
            parent: format!("tenants/{TENANT}"),
            // Also where an hour ends meanwhile.
            start_time: instant(hour - 3600),
            end_time: instant(hour + 7200),
            ..Default::default()
        };
        let reply = scene.region.admin().connection().usage().query_usage(request).await;
        let used = reply.map_err(|status| status.to_string())?.into_inner().total_actual;
        let used = used.ok_or_else(|| "nothing is known".to_owned())?;
        let is = |text: &Option<String>, wished: u64| *text == Some(wished.to_string());
        holds(
            is(&used.cpu_millicore_seconds, millicore_seconds) && is(&used.egress_bytes, sent),
            || format!("{used:?}"),
        )?;
        Ok::<_, String>(used)
    })
    .await
}
