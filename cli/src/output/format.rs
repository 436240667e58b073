//! Which format was asked for with `-o`.

use std::{ffi::OsStr, sync::Arc};

use clap::{
    Arg, Command, ValueEnum,
    builder::{PossibleValue, TypedValueParser},
    error::{ContextKind, ContextValue, ErrorKind},
};
use streamspace_client::context::nearest;

use super::jsonpath::Template;

/// How data is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people
    Table,
    /// A table with more columns
    Wide,
    /// JSON as the contract defines it
    Json,
    /// The same as YAML
    Yaml,
    /// The same, one object a line
    Jsonl,
    /// The table's columns, separated by commas
    Csv,
    /// Names alone, one a line
    Name,
    /// What a template takes out of the JSON
    #[value(skip)]
    JsonPath,
}

impl Format {
    /// Whether it prints values as the contract defines them, and no columns.
    pub(crate) fn is_data(self) -> bool {
        matches!(self, Self::Json | Self::Yaml | Self::Jsonl | Self::JsonPath)
    }
}

/// A format, with its template where it has one.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) template: Option<Arc<Template>>,
}

/// Reads the value of `-o`.
#[derive(Clone, Debug)]
pub(crate) struct OutputParser;

/// What stands before the template.
const JSONPATH: &str = "jsonpath";

impl TypedValueParser for OutputParser {
    type Value = Output;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Output, clap::Error> {
        let text = value.to_string_lossy();
        if let Some(template) = text.strip_prefix("jsonpath=") {
            return match Template::parse(template) {
                Ok(template) => {
                    Ok(Output { format: Format::JsonPath, template: Some(Arc::new(template)) })
                }
                Err(error) => {
                    let message = format!("the jsonpath template is wrong {error}");
                    Err(clap::Error::raw(ErrorKind::ValueValidation, message + "\n")
                        .with_cmd(command))
                }
            };
        }
        match Format::from_str(&text, false) {
            Ok(format) => Ok(Output { format, template: None }),
            Err(_) => Err(unknown(command, argument, &text)),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let template = PossibleValue::new("jsonpath=TEMPLATE").help(
            "What a template takes out of the JSON, as with kubectl: \
             '{range .items[*]}{.name}{\"\\n\"}{end}'; a list is under .items",
        );
        let formats = Format::value_variants().iter().filter_map(Format::to_possible_value);
        Some(Box::new(formats.chain([template])))
    }
}

/// The error that clap makes for an unknown value of an enum.
fn unknown(command: &Command, argument: Option<&Arg>, text: &str) -> clap::Error {
    let mut error = clap::Error::new(ErrorKind::InvalidValue).with_cmd(command);
    let argument = argument.map(ToString::to_string).unwrap_or_default();
    error.insert(ContextKind::InvalidArg, ContextValue::String(argument));
    error.insert(ContextKind::InvalidValue, ContextValue::String(text.to_owned()));
    let formats = Format::value_variants().iter().filter_map(Format::to_possible_value);
    let mut known: Vec<String> = formats.map(|format| format.get_name().to_owned()).collect();
    known.push(format!("{JSONPATH}=TEMPLATE"));
    let meant = if text.starts_with(JSONPATH) {
        known.last().map(String::as_str)
    } else {
        nearest(text, &known)
    };
    if let Some(meant) = meant {
        let meant = ContextValue::String(meant.to_owned());
        error.insert(ContextKind::SuggestedValue, meant);
    }
    error.insert(ContextKind::ValidValue, ContextValue::Strings(known));
    error
}
