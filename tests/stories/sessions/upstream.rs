//! What the platform ships: either variant of its definitions, and the templates of its public
//! catalogue.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Error,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use streamspace_proto::v1::{self, SessionPhase};
use streamspace_tests::{
    region::{own_cluster, shared_cluster},
    runtime::story,
    sessions,
    wait::{holds, within},
};

use super::scene::{PATIENCE, Scene, TENANT};

const TEMPLATES: &str = include_str!("../../data/upstream/templates.yaml");
/// The variants of the definitions, each with the shape of its resources as a session has it
/// that asks for 300m and 512Mi.
const VARIANTS: [(&str, [&str; 2], &str); 2] = [
    (
        "manifests",
        [
            include_str!("../../data/upstream/manifests-sessions.yaml"),
            include_str!("../../data/upstream/manifests-templates.yaml"),
        ],
        r#"{"cpu": "300m", "memory": "512Mi"}"#,
    ),
    (
        "chart",
        [
            include_str!("../../data/upstream/chart-sessions.yaml"),
            include_str!("../../data/upstream/chart-templates.yaml"),
        ],
        r#"{"limits": {"cpu": "300m", "memory": "512Mi"},
            "requests": {"cpu": "300m", "memory": "512Mi"}}"#,
    ),
];

fn by_hand(name: &str, resources: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "stream.space/v1alpha1", "kind": "Session",
        "metadata": {"name": name},
        "spec": {
            "user": "bob", "template": "firefox", "state": "running", "resources": resources,
        },
    }))
    .unwrap()
}

/// A session that asks for this shape is what its cluster's definition takes.
fn shape(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn either_variant_of_the_definitions_is_taken_and_written() {
    story(async {
        // The definitions are the whole cluster's.
        let scene = Scene::on(own_cluster().await).await;
        let client = scene.region.client().await;
        let sessions = scene.sessions(client.clone());
        // Ours takes the sessions of both.
        for (variant, _, resources) in VARIANTS {
            let name = format!("{variant}-0");
            let session = by_hand(&name, &shape(resources));
            sessions::create(&sessions, &session).await;
            scene.until(&name, SessionPhase::Running).await;
            sessions.delete(&name, &<_>::default()).await.unwrap();
        }

        let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
        for (variant, files, resources) in VARIANTS {
            // A watch from before the change would go on dropping what the definition of then did
            // not know.
            scene.region.stop().await;
            for file in files {
                let definition: Value = serde_saphyr::from_str(file).unwrap();
                let name = definition["metadata"]["name"].as_str().unwrap();
                let patch = Patch::Merge(json!({"spec": definition["spec"]}));
                definitions.patch(name, &PatchParams::default(), &patch).await.unwrap();
            }
            // Written by hand, as that platform's users do.
            let name = format!("{variant}-1");
            let session = by_hand(&name, &shape(resources));
            within(PATIENCE, "the definition is the variant's", async || {
                // What the one before does not know it drops without a word.
                let rehearsal = PostParams { dry_run: true, ..PostParams::default() };
                let kept = sessions.create(&rehearsal, &session).await;
                let kept = kept.map_err(|error| error.to_string())?;
                holds(kept.data["spec"]["resources"] == shape(resources), || format!("{kept:?}"))
            })
            .await;
            scene.region.launch().await;
            scene.region.is_well().await;
            sessions::create(&sessions, &session).await;
            let told = scene.until(&name, SessionPhase::Running).await;
            assert_eq!((told.cpu.as_str(), told.memory.as_str()), ("300m", "512Mi"), "{variant}");
            // And by an operator, in the shape that the cluster has.
            let name = format!("{variant}-2");
            let full = format!("{TENANT}/{name}");
            let line = ["session", "create", &full, "--user", "ada", "--template", "firefox"];
            let more = ["--cpu", "300m", "--memory", "512Mi", "--reason", "demo", "--wait"];
            scene.ok(&[&line[..], &more].concat()).await;
            let made = sessions.get(&name).await.unwrap();
            assert_eq!(made.data["spec"]["resources"], shape(resources), "{variant}");
            // What its status cannot say stands aside: which run it is in, which proves that
            // it ran all the time.
            let aside = made.metadata.annotations.unwrap_or_default();
            assert!(aside["control.stream.space/status"].contains("podUID"), "{aside:?}");
            scene.ok(&["session", "hibernate", &full, "--reason", "demo", "--wait"]).await;
            // What the definition does not know is refused, and not dropped.
            let full = format!("{TENANT}/{variant}-3");
            let line = ["session", "create", &full, "--user", "ada", "--template", "firefox"];
            let more = ["--tag", "demo", "--reason", "demo", "--wait"];
            let refused = scene.region.admin().run(&[&line[..], &more].concat()).await;
            assert_ne!(refused.code, 0);
            refused.says("spec.tags");
        }
    });
}

#[test]
fn every_template_of_the_public_catalogue_is_valid_or_says_why_not() {
    story(async {
        let scene = Scene::on(shared_cluster().await).await;
        let templates = sessions::templates(scene.region.client().await, &scene.catalogue());
        let (mut names, mut refused) = (Vec::new(), Vec::new());
        for document in TEMPLATES.split("\n---\n") {
            let mut template: DynamicObject = serde_saphyr::from_str(document).unwrap();
            template.metadata.namespace = None;
            let name = template.metadata.name.clone().unwrap();
            // The catalogue of the story has two of its own, of which one is called as one here.
            let apply = PatchParams::apply("story").force();
            match templates.patch(&name, &apply, &Patch::Apply(&template)).await {
                Ok(_) => names.push(name),
                Err(Error::Api(status)) => refused.push((name, status.message)),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(names.len() + refused.len(), 195);
        // The cluster itself says what is wrong with a name.
        for (name, words) in &refused {
            assert!(words.contains("metadata.name") && !words.contains('\n'), "{name}: {words}");
        }
        let listed = within(PATIENCE, "all are known", async || {
            let request = v1::ListTemplatesRequest { page_size: 1000, ..Default::default() };
            let reply = scene.region.admin().connection().sessions().list_templates(request).await;
            let listed = reply.map_err(|status| status.to_string())?.into_inner().templates;
            let missing = |name: &&String| {
                !listed.iter().any(|it| it.name.rsplit('/').next() == Some(name.as_str()))
            };
            let missing: Vec<_> = names.iter().filter(missing).collect();
            holds(missing.is_empty(), || format!("{missing:?}"))?;
            Ok::<_, String>(listed)
        })
        .await;
        let wrong: Vec<_> = listed.iter().filter(|it| !it.valid).collect();
        for template in &wrong {
            assert!(
                !template.message.is_empty() && !template.message.contains('\n'),
                "{template:?}"
            );
        }
        for template in listed.iter().filter(|it| it.valid) {
            assert_eq!(template.message, "");
        }
        let told = |it: &&v1::Template| format!("{}: {}", it.name, it.message);
        let wrong: Vec<String> = wrong.iter().map(told).collect();
        println!("{} of {}: {wrong:#?} {refused:#?}", wrong.len(), listed.len());
    });
}
