//! What policies and definitions share of CEL.

use std::{collections::HashMap, sync::Arc};

use cel::{
    Env, Program,
    objects::{Key, Map, Value as Cel},
};
use serde_json::Value;

/// A program, or why there is none.
pub(crate) type Read = Result<Program, String>;

/// CEL with what Kubernetes adds to texts.
pub(crate) fn environment() -> Result<Env, String> {
    let mut env = Env::stdlib();
    env.add_extension(cel::extensions::strings).map_err(|error| error.to_string())?;
    Ok(env)
}

/// Reads an expression.
pub(crate) fn read(env: &Env, source: &str) -> Read {
    env.compile(source).map_err(|error| format!("compilation failed: {error}"))
}

/// A value as CEL has it: whole numbers are integers.
pub(crate) fn convert(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cel::Int(whole),
            (None, Some(number)) => Cel::Float(number),
            (None, None) => Cel::Null,
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(convert).collect())),
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(key, value)| (Key::from(key.as_str()), convert(value)));
            map(pairs.collect())
        }
    }
}

pub(crate) fn map(entries: HashMap<Key, Cel>) -> Cel {
    Cel::Map(Map { map: Arc::new(entries) })
}
