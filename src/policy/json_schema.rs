//! JSON Schemas of policy files, for editors: made from the types that read them.

use super::programme_file::ProgrammeFile;
use super::schema::{
    ForceMajeureFile, LifeCycleFile, ProvidersFile, RightsFile, ScoreFile, ViolationsFile, WaiverFile,
};
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::Value;

/// The schema of each kind of file: name and JSON.
#[must_use]
pub fn schemas() -> Vec<(&'static str, String)> {
    vec![
        ("force_majeure", schema::<ForceMajeureFile>()),
        ("high_in_stock_waiver", schema::<WaiverFile>()),
        ("life_cycle", schema::<LifeCycleFile>()),
        ("programme", schema::<ProgrammeFile>()),
        ("providers", schema::<ProvidersFile>()),
        ("rights", schema::<RightsFile>()),
        ("score", schema::<ScoreFile>()),
        ("violations", schema::<ViolationsFile>()),
    ]
}

fn schema<T: JsonSchema>() -> String {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    RecursiveTransform(tidy).transform(&mut schema);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// TOML has no null: a key that may be absent has the type it has when it is there. Lines of comments become one.
fn tidy(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
    }
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}
