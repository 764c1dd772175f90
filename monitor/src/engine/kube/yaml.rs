//! YAML as far as a kubeconfig needs it: one document, no anchors, no depth that anybody writes by hand.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Lists and maps in each other.
const MAX_DEPTH: usize = 16;

enum Open {
    List(Vec<Value>),
    /// A map, and the key whose value comes next.
    Map(Map<String, Value>, Option<String>),
}

/// The first document. JSON is YAML, too.
///
/// # Errors
/// What is wrong with it, without any of its text: there are keys in it.
pub(super) fn load(text: &str) -> Result<Value, String> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| format!("no YAML in line {}", error.marker().line()))?;
        let line = span.start.line();
        let value = match event {
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                return Err(format!("too deep in line {line}"));
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Value::Array(list),
                Some(Open::Map(map, _)) => Value::Object(map),
                None => Value::Null,
            },
            Event::Scalar(text, style, _, _) => scalar(&text, style),
            Event::Alias(_) => return Err(format!("an alias in line {line}, which is not understood")),
            _ => continue,
        };
        match open.last_mut() {
            None => return Ok(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Map(map, key)) => match key.take() {
                Some(key) => drop(map.insert(key, value)),
                None => match value {
                    Value::String(text) => *key = Some(text),
                    Value::Bool(is) => *key = Some(is.to_string()),
                    _ => return Err(format!("a key that is no text in line {line}")),
                },
            },
        }
    }
    Ok(Value::Null)
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null") => Value::Null,
        (ScalarStyle::Plain, "true") => Value::Bool(true),
        (ScalarStyle::Plain, "false") => Value::Bool(false),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_people_and_tools_write() {
        let text = "# of kubeadm\na:\n- b: 'x'\n  c: \"true\"\n- d: true\n  e: 17\n  f: ~\n  g:\n  h: |\n    two\n    lines\n";
        let want = json!({"a": [
            {"b": "x", "c": "true"},
            {"d": true, "e": "17", "f": null, "g": null, "h": "two\nlines\n"},
        ]});
        assert_eq!(load(text), Ok(want));
        assert_eq!(load(r#"{"a": [{"b": "x"}], "c": false}"#), Ok(json!({"a": [{"b": "x"}], "c": false})));
        assert_eq!(load(""), Ok(Value::Null));
        assert_eq!(load("a: 1\n---\nb: 2\n"), Ok(json!({"a": "1"})));
    }

    #[test]
    fn what_is_refused() {
        for text in ["a: [1", "a: b: c", "a: &x 1\nb: *x\n", "? [1]\n: 2\n", &"[".repeat(100_000)] {
            let error = load(text).expect_err(text);
            assert!(error.contains("line "), "{error}");
        }
    }
}
