//! The Terraform modules: formatted, parsed, described, and called with what they take. What
//! the provider would say of them, no test here knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use streamspace_tests::{runtime::story, terraform::Inspector};

use crate::root;

const MODULES: [&str; 7] = ["eks", "monitoring", "rds", "redis", "region", "s3", "vpc"];
const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "production/us-east-1"];

fn folders() -> Vec<PathBuf> {
    let terraform = root().join("packaging/terraform");
    let modules = MODULES.iter().map(|name| terraform.join("modules").join(name));
    modules
        .chain(ENVIRONMENTS.iter().map(|name| terraform.join("environments").join(name)))
        .collect()
}

/// All of a folder's text, without its comments.
fn text(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "tf") {
            text += &fs::read_to_string(path).unwrap();
        }
    }
    let is_code = |line: &&str| !line.trim_start().starts_with('#');
    text.lines().filter(is_code).map(|line| format!("{line}\n")).collect()
}

/// The names that follow this prefix, as words.
fn named(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = |at: usize| !text[..at].ends_with(|c: char| is_part(c) || c == '.');
    text.match_indices(prefix)
        .filter(|(at, _)| starts(*at))
        .map(|(at, _)| {
            text[at + prefix.len()..].chars().take_while(|c| is_part(*c)).collect::<String>()
        })
        .filter(|name| !name.is_empty())
        .collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().into_iter().flat_map(|map| map.keys().cloned()).collect()
}

/// Terraform is not on every machine. Where it is not, the parser of the other tests still
/// finds what cannot be parsed.
#[test]
fn all_of_it_is_formatted() {
    let checked = Command::new("terraform")
        .args(["fmt", "-check", "-recursive", "-diff"])
        .current_dir(root().join("packaging/terraform"))
        .env("CHECKPOINT_DISABLE", "1")
        .output();
    match checked {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "terraform fmt -recursive mends it:\n{said}");
        }
        Err(error) => eprintln!("format not checked, there is no terraform here: {error}"),
    }
}

#[test]
fn no_folder_is_left_out() {
    let mut found = BTreeSet::new();
    collect(&root().join("packaging/terraform"), &mut found);
    assert_eq!(found, folders().into_iter().collect());
}

fn collect(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|end| end == "tf") {
            found.insert(folder.to_owned());
        }
    }
}

#[test]
fn every_variable_and_output_is_described_and_used() {
    story(async {
        let inspector = Inspector::new().await;
        let mut wrong = Vec::new();
        for folder in folders() {
            let (read, code) = (inspector.read(&folder).await, text(&folder));
            let place = folder.display();
            for (name, variable) in read["variables"].as_object().unwrap() {
                if variable["type"].as_str().is_none_or(str::is_empty) {
                    wrong.push(format!("{place}: variable {name} has no type"));
                }
                if variable["description"].as_str().is_none_or(|words| !words.ends_with('.')) {
                    wrong.push(format!("{place}: variable {name} has no description"));
                }
            }
            for (name, output) in read["outputs"].as_object().unwrap() {
                if output["description"].as_str().is_none_or(|words| !words.ends_with('.')) {
                    wrong.push(format!("{place}: output {name} has no description"));
                }
            }
            let declared = keys(&read["variables"]);
            for name in named(&code, "var.").symmetric_difference(&declared) {
                wrong.push(format!("{place}: var.{name} is not both declared and used"));
            }
            // A check of a variable alone does not use it.
            let outside: String = fs::read_to_string(folder.join("main.tf")).unwrap()
                + &fs::read_to_string(folder.join("outputs.tf")).unwrap()
                + &fs::read_to_string(folder.join("versions.tf")).unwrap();
            for name in declared.difference(&named(&outside, "var.")) {
                wrong.push(format!("{place}: var.{name} is used by nothing"));
            }
            let made = keys(&read["managed_resources"]);
            let looked_up = keys(&read["data_resources"]);
            for kind in made.iter().chain(&looked_up).filter(|name| name.starts_with("aws_")) {
                assert!(kind.contains('.'), "{kind}");
            }
            for name in referred(&code) {
                let known = made.contains(&name) || looked_up.contains(&name);
                if !known {
                    wrong.push(format!("{place}: {name} is not there"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Resources and data that are referred to: `aws_vpc.this`, `data.aws_region.current`.
fn referred(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for kind in named(code, "aws_") {
        let prefix = format!("aws_{kind}.");
        names.extend(named(code, &prefix).into_iter().map(|name| format!("{prefix}{name}")));
    }
    for kind in named(code, "data.aws_") {
        let prefix = format!("data.aws_{kind}.");
        names.extend(named(code, &prefix).into_iter().map(|name| format!("{prefix}{name}")));
    }
    names
}

/// The arguments of each `module` block, by its name.
fn calls(code: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut calls = BTreeMap::new();
    let mut open: Option<(String, BTreeSet<String>)> = None;
    for line in code.lines() {
        if let Some(name) = line.strip_prefix("module \"").and_then(|rest| rest.split('"').next()) {
            open = Some((name.to_owned(), BTreeSet::new()));
        } else if line == "}" {
            calls.extend(open.take());
        } else if let Some((_, arguments)) = &mut open
            && let Some(line) = line.strip_prefix("  ").filter(|line| !line.starts_with(' '))
            && let Some((name, _)) = line.split_once(" =").or_else(|| line.split_once(" {"))
        {
            arguments.insert(name.trim().to_owned());
        }
    }
    calls
}

#[test]
fn modules_are_called_with_what_they_take_and_asked_for_what_they_give() {
    story(async {
        let inspector = Inspector::new().await;
        let mut wrong = Vec::new();
        let mut found = 0;
        for folder in folders() {
            let (read, code) = (inspector.read(&folder).await, text(&folder));
            let calls = calls(&code);
            assert_eq!(keys(&read["module_calls"]), calls.keys().cloned().collect());
            for (name, arguments) in calls {
                found += 1;
                let source = read["module_calls"][&name]["source"].as_str().unwrap();
                let module = inspector.read(&folder.join(source)).await;
                let taken = keys(&module["variables"]);
                let place = format!("{}: module {name}", folder.display());
                let of_terraform = ["source", "count", "for_each", "providers", "depends_on"];
                for argument in
                    arguments.iter().filter(|name| !of_terraform.contains(&name.as_str()))
                {
                    if !taken.contains(argument) {
                        wrong.push(format!("{place} takes no {argument}"));
                    }
                }
                for (variable, about) in module["variables"].as_object().unwrap() {
                    if about["required"] == true && !arguments.contains(variable) {
                        wrong.push(format!("{place} is not given {variable}"));
                    }
                }
                let given = keys(&module["outputs"]);
                for end in ["", "[*]", "[0]"] {
                    for output in named(&code, &format!("module.{name}{end}.")) {
                        if !given.contains(&output) {
                            wrong.push(format!("{place} gives no {output}"));
                        }
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(found, 6 + ENVIRONMENTS.len());
    });
}

const BEGIN: &str = "<!-- made from the module by UPDATE_SNAPSHOTS=1 -->";
const END: &str = "<!-- until here -->";

#[test]
fn the_table_of_every_module_is_true() {
    story(async {
        let inspector = Inspector::new().await;
        for name in MODULES {
            let folder = root().join("packaging/terraform/modules").join(name);
            let read = inspector.read(&folder).await;
            let path = folder.join("README.md");
            let page = fs::read_to_string(&path).unwrap_or_default();
            let (before, rest) =
                page.split_once(BEGIN).unwrap_or_else(|| panic!("{name}: {BEGIN}"));
            let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("{name}: {END}"));
            let now = format!("{before}{BEGIN}\n\n{}\n{END}{after}", tables(&read));
            if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
                fs::write(&path, &now).unwrap();
            }
            let committed = fs::read_to_string(&path).unwrap();
            assert_eq!(committed, now, "{}: UPDATE_SNAPSHOTS=1 writes it anew", path.display());
            assert!(before.len() > 100, "{name}: the page says nothing of the module");
        }
    });
}

fn tables(read: &Value) -> String {
    let mut tables = "| variable | type | default | |\n|--|--|--|--|\n".to_owned();
    for (name, variable) in read["variables"].as_object().unwrap() {
        let kind = variable["type"].as_str().unwrap();
        // Objects stand in the file, where they can be read.
        let kind = if kind.contains('\n') { kind.split('{').next().unwrap() } else { kind };
        let kind = kind.trim_end_matches('(');
        let default = if variable["required"] == true {
            "required".to_owned()
        } else {
            format!("`{}`", variable["default"])
        };
        let words = variable["description"].as_str().unwrap();
        tables += &format!("| `{name}` | `{kind}` | {default} | {} |\n", words.replace('|', "\\|"));
    }
    tables += "\n| output | |\n|--|--|\n";
    for (name, output) in read["outputs"].as_object().unwrap() {
        let words = output["description"].as_str().unwrap();
        tables += &format!("| `{name}` | {} |\n", words.replace('|', "\\|"));
    }
    tables
}

/// What must not be forgotten, each in the words of the file.
#[test]
fn nothing_is_open_and_nothing_is_plain() {
    story(async {
        let inspector = Inspector::new().await;
        let modules = root().join("packaging/terraform/modules");
        for (module, must) in [
            (
                "vpc",
                &["map_public_ip_on_launch = false", "aws_flow_log", "aws_default_security_group"]
                    [..],
            ),
            (
                "eks",
                &[
                    "endpoint_private_access = true",
                    "resources = [\"secrets\"]",
                    "http_tokens = \"required\"",
                    "encrypted = true",
                    "bootstrap_cluster_creator_admin_permissions = false",
                    "enableNetworkPolicy = \"true\"",
                ],
            ),
            (
                "rds",
                &[
                    "publicly_accessible = false",
                    "storage_encrypted = true",
                    "manage_master_user_password = true",
                    "skip_final_snapshot = false",
                    "family = \"postgres15\"",
                    "name = \"rds.force_ssl\"",
                ],
            ),
            ("redis", &["at_rest_encryption_enabled = true", "transit_encryption_enabled = true"]),
            (
                "s3",
                &[
                    "block_public_acls = true",
                    "block_public_policy = true",
                    "restrict_public_buckets = true",
                    "sse_algorithm = \"aws:kms\"",
                    "aws:SecureTransport",
                    "status = \"Enabled\"",
                ],
            ),
            ("monitoring", &["kms_master_key_id = var.kms_key_arn"]),
            ("region", &["enable_key_rotation = true"]),
        ] {
            let code = text(&modules.join(module));
            let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
            for words in must {
                assert!(code.contains(words), "{module}: {words}");
            }
        }
        for folder in folders() {
            let (read, code) = (inspector.read(&folder).await, text(&folder));
            assert_eq!(
                read["required_providers"]["aws"]["version_constraints"][0],
                "~> 6.0",
                "{}",
                folder.display()
            );
            // A route out may name the internet; who comes in may not.
            for rule in code.split("resource \"aws_vpc_security_group_ingress_rule\"").skip(1) {
                let rule = rule.split("\n}").next().unwrap();
                assert!(rule.contains("referenced_security_group_id"), "{rule}");
                assert!(!rule.contains("cidr"), "{rule}");
            }
            for word in ["= [\"0.0.0.0/0\"]", "Action = \"*\"", "actions = [\"*\"]", "password ="] {
                assert!(!code.contains(word), "{}: {word}", folder.display());
            }
        }
        for name in ENVIRONMENTS {
            let code = text(&root().join("packaging/terraform/environments").join(name));
            let code = code.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                code.contains("backend \"s3\" { encrypt = true use_lockfile = true }"),
                "{name}"
            );
            assert!(code.contains("allowed_account_ids = [var.account_id]"), "{name}");
        }
        // Not the control plane's: it has no use for one.
        let region = text(&modules.join("region"));
        assert!(region.contains("count  = var.redis == null ? 0 : 1"), "{region}");
    });
}
