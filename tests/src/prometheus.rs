//! A real Prometheus that scrapes what a story says.

#![allow(clippy::expect_used, reason = "a panic fails the story, as it should")]

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, extract::State, routing::get};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
};

use crate::{janitor, ports::Port};

type Page = Arc<Mutex<String>>;

/// A server of one story, which goes with it.
#[derive(Debug)]
pub struct Prometheus {
    // In the order in which they go: the process before what it stands on.
    process: Child,
    id: u32,
    port: Port,
    _folder: TempDir,
    page: Page,
}

impl Prometheus {
    /// One that scrapes each second what [`Prometheus::say`] was told, which is nothing yet.
    pub async fn start() -> Self {
        let page = Page::default();
        let exporter = export(&page).await;
        let folder = TempDir::with_prefix("streamspace-prometheus-").expect("a folder");
        janitor::folder(folder.path());
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             scrape_configs: [{{job_name: story, static_configs: [{{targets: ['{exporter}']}}]}}]\n"
        );
        std::fs::write(&config, text).expect("the folder is ours");
        let port = Port::take();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={}", port.address()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("no program prometheus: run packaging/dev/needs prometheus");
        let id = process.id().expect("it was not waited for yet");
        janitor::process(id);
        Self { process, id, port, _folder: folder, page }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// What is there to be scraped from now on, in the text format of Prometheus.
    pub fn say(&self, page: String) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if self.process.start_kill().is_ok() {
            janitor::ended(self.id);
        }
    }
}

async fn export(page: &Page) -> SocketAddr {
    let show = async |State(page): State<Page>| {
        page.lock().unwrap_or_else(PoisonError::into_inner).clone()
    };
    let router = Router::new().route("/metrics", get(show)).with_state(Arc::clone(page));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it listens");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
