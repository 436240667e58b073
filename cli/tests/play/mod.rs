//! Plays commands against a region in miniature, and holds what was asked and told against a
//! committed file.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use serde_json::Value;

use crate::{
    machine::{Machine, Run, golden},
    region::{Answer, Region},
};

/// Each command with the code that it ends with.
pub type Script<'a> = &'a [(&'a str, i32)];

/// Runs commands, and compares what was asked and told with a committed file.
pub fn plays(name: &str, answers: fn(&str, &Value) -> Answer, script: Script<'_>) {
    let machine = Machine::new();
    let region = Region::start(answers);
    let mut transcript = String::new();
    for (line, exit) in script {
        let words = words(line);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let run = Run::new(region.command(&machine, &words).output().unwrap());
        transcript += &format!("$ ssctl {line}\n");
        for (method, mut request) in region.asked() {
            if let Some(id) = request.as_object_mut().unwrap().remove("requestId") {
                assert_eq!(id.as_str().unwrap().len(), 36, "{id}");
            }
            transcript += &format!("> {method} {request}\n");
        }
        transcript += &shown(&run);
        assert_eq!(run.exit, *exit, "{transcript}");
    }
    golden(name, &transcript);
}

/// Standard output as it is, standard error behind a bar, then the code.
fn shown(run: &Run) -> String {
    let stderr = run.stderr.lines().fold(String::new(), |text, line| text + "| " + line + "\n");
    let stdout = run.stdout.replace("\r\n", "␍\n");
    steady(&format!("{stdout}{stderr}= {}\n\n", run.exit))
}

/// How long it is since or until a fixed time is different each day.
fn steady(text: &str) -> String {
    let mut steady = text.to_owned();
    for before in ["(in ", "(for "] {
        let mut parts = steady.split(before);
        let mut next = parts.next().unwrap().to_owned();
        for part in parts {
            next += &format!("{before}…{}", &part[part.find(')').unwrap()..]);
        }
        steady = next;
    }
    steady
}

/// A line's words; those in single quotes are one.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// The value with other fields put over it.
pub fn with(mut value: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("{fields}") };
    value.as_object_mut().unwrap().extend(fields);
    value
}
