//! The webhook that admits sessions, as the API server knows it.

use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MatchCondition, RuleWithOperations, ServiceReference, ValidatingWebhook,
        ValidatingWebhookConfiguration, WebhookClientConfig,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::core::ApiResource;
use serde_json::Value;

use super::{Manifests, Wish};

/// How long the API server waits for an answer.
const TIMEOUT_SECONDS: i32 = 5;

/// How the API server reaches the webhook, and what it trusts there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookClient {
    /// Where it is.
    pub address: WebhookAddress,
    /// The authorities that its certificate may come from, as PEM.
    pub authorities: String,
}

/// Where the webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookAddress {
    /// At this `https` URL.
    Url(String),
    /// Behind a Service.
    Service {
        /// The namespace of the Service.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
        /// The path.
        path: String,
    },
}

impl Manifests {
    /// The webhook, where one is configured.
    pub fn sessions(&self) -> Option<Result<Wish, serde_json::Error>> {
        self.webhook.as_ref().map(|client| Wish::of(&self.sessions_webhook(client)))
    }

    /// The webhook by its name alone, to look for one that is there.
    pub(in crate::platform) fn any_sessions(&self) -> Wish {
        Wish {
            resource: ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
            namespace: None,
            name: self.names.sessions(),
            body: Value::Null,
        }
    }

    /// It is asked where a session is to run and did not before, or is to be another than
    /// it was. All else passes without it: while nobody answers, sessions are hibernated,
    /// end and are deleted, and what keeps something of its own in their metadata goes on.
    /// Deletions are never asked about: a daemon that is away would hold namespaces open.
    fn sessions_webhook(&self, client: &WebhookClient) -> ValidatingWebhookConfiguration {
        let condition = |name: &str, expression: &str| MatchCondition {
            name: name.to_owned(),
            expression: expression.to_owned(),
        };
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let webhook = ValidatingWebhook {
            name: format!("sessions.{}.stream.space", self.names.instance()),
            client_config: client.config(),
            rules: Some(vec![RuleWithOperations {
                api_groups: Some(owned(&["stream.space"])),
                api_versions: Some(owned(&["v1alpha1"])),
                resources: Some(owned(&["sessions"])),
                operations: Some(owned(&["CREATE", "UPDATE"])),
                scope: Some("Namespaced".to_owned()),
            }]),
            // Tenants' namespaces alone: what others do with sessions is not ours.
            namespace_selector: Some(LabelSelector {
                match_expressions: self.not_the_control_namespace().match_expressions,
                ..self.managed()
            }),
            match_conditions: Some(vec![
                condition(
                    "is-to-run",
                    "has(object.spec) && has(object.spec.state) && object.spec.state == 'running'",
                ),
                condition(
                    "is-new",
                    "request.operation == 'CREATE' || !has(object.spec) || \
                     !has(oldObject.spec) || object.spec != oldObject.spec",
                ),
                condition("is-to-stay", "!has(object.metadata.deletionTimestamp)"),
            ]),
            side_effects: "NoneOnDryRun".to_owned(),
            failure_policy: Some("Fail".to_owned()),
            timeout_seconds: Some(TIMEOUT_SECONDS),
            admission_review_versions: owned(&["v1"]),
            ..Default::default()
        };
        ValidatingWebhookConfiguration {
            metadata: self.metadata(self.names.sessions()),
            webhooks: Some(vec![webhook]),
        }
    }
}

impl WebhookClient {
    fn config(&self) -> WebhookClientConfig {
        let (url, service) = match &self.address {
            WebhookAddress::Url(url) => (Some(url.clone()), None),
            WebhookAddress::Service { namespace, name, port, path } => {
                let service = ServiceReference {
                    namespace: namespace.clone(),
                    name: name.clone(),
                    port: Some(i32::from(*port)),
                    path: Some(path.clone()),
                };
                (None, Some(service))
            }
        };
        let ca_bundle = Some(ByteString(self.authorities.clone().into_bytes()));
        WebhookClientConfig { ca_bundle, service, url }
    }
}
