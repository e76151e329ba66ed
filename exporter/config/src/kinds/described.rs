//! From the comment of a key in `raw` to what a schema says of it: text, default and example.
//! It must never drop a word of a comment but those that become keywords.
//! From schemas as derived; to the same schemas.

use schemars::Schema;
use serde_json::Value;

/// Takes the comment apart: ``Default: `VALUE`.`` and ``Example: `VALUE`.`` (YAML both) and `Required.` have keywords of their own.
pub(crate) fn describe(schema: &mut Schema) {
    let Some(Value::String(comment)) = schema.remove("description") else {
        return;
    };
    let mut text = comment.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(value) = take(&mut text, "Default: `") {
        schema.insert("default".to_owned(), value);
    }
    if let Some(value) = take(&mut text, "Example: `") {
        schema.insert("examples".to_owned(), vec![value].into());
    }
    // Each mapping has a list of what is required.
    let text = text.replace(" Required.", "");
    schema.insert("description".to_owned(), text.into());
}

/// Cuts out a value up to the closing backtick and full stop.
fn take(text: &mut String, opening: &str) -> Option<Value> {
    let (before, rest) = text.split_once(opening)?;
    let (value, after) = rest.split_once("`.")?;
    let value = serde_yaml::from_str(value).ok()?;
    *text = format!("{}{after}", before.trim_end());
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::json_schema;
    use serde_json::json;

    #[test]
    fn a_comment_becomes_keywords() {
        let mut schema = json_schema!({
            "description": "Which\nport. Default: `8443`.\nExample: `[{a: \"b*\"}, c]`. More words."
        });
        describe(&mut schema);
        assert_eq!(
            schema.to_value(),
            json!({"default": 8443, "examples": [[{"a": "b*"}, "c"]], "description": "Which port. More words."})
        );
    }

    #[test]
    fn what_is_no_value_stays_text() {
        let mut schema = json_schema!({"description": "A port. Required. Default: any one."});
        describe(&mut schema);
        assert_eq!(schema.to_value(), json!({"description": "A port. Default: any one."}));
    }
}
