//! The table of the configuration, from the types that read it.

use streamspaced::config::reference::sections;

/// The table, a row for each key.
pub(crate) fn table() -> String {
    let mut table = "| key | | default | |\n|--|--|--|--|\n".to_owned();
    for section in sections() {
        if !section.name.is_empty() {
            let default = if section.is_optional { "none" } else { "" };
            let about = cell(&section.about);
            table += &format!("| **`[{}]`** | | {default} | {about} |\n", section.name);
        }
        for key in &section.keys {
            let about = cell(&key.about);
            table += &format!("| `{}` | {} | {} | {about} |\n", key.name, key.kind, key.default);
        }
    }
    table
}

fn cell(words: &str) -> String {
    words.replace('|', "\\|")
}
