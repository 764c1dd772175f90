//! A validator for the part of JSON Schema that `schema.rs` uses. An unknown keyword fails the test.

use serde_json::Value;

/// Why `value` does not fit `schema`; `Ok` if it does.
pub(crate) fn validate(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let fail = |why: String| Err(format!("{at}: {why}"));
    for (keyword, rule) in schema.as_object().ok_or_else(|| format!("{at}: schema is no object"))? {
        match keyword.as_str() {
            "$schema" | "title" | "$defs" | "description" | "format" => {}
            "$ref" => {
                let name = rule.as_str().and_then(|r| r.strip_prefix("#")).ok_or("bad $ref")?;
                let target = root.pointer(name).ok_or_else(|| format!("{at}: no {name}"))?;
                validate(root, target, value, at)?;
            }
            "type" => {
                let types = rule.as_array().cloned().unwrap_or_else(|| vec![rule.clone()]);
                if !types.iter().any(|ty| is_type(ty.as_str().unwrap(), value)) {
                    return fail(format!("{value} is not {rule}"));
                }
            }
            "const" if value != rule => return fail(format!("{value} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                return fail(format!("{value} not in {rule}"));
            }
            "const" | "enum" => {}
            "minimum" => {
                if value.is_number() && value.as_u64().is_none() {
                    return fail(format!("{value} below {rule}"));
                }
            }
            "pattern" => {
                let text = value.as_str().unwrap_or_default();
                let fits = match rule.as_str().unwrap() {
                    "^0x[0-9a-f]+$" => {
                        text.strip_prefix("0x").is_some_and(|h| u64::from_str_radix(h, 16).is_ok())
                    }
                    _ => text
                        .split_once(':')
                        .is_some_and(|(a, b)| a.parse::<u32>().is_ok() && b.parse::<u32>().is_ok()),
                };
                if !fits {
                    return fail(format!("{value} does not match {rule}"));
                }
            }
            "required" => {
                let missing =
                    rule.as_array().unwrap().iter().find(|k| value.get(k.as_str().unwrap()).is_none());
                if let Some(key) = missing.filter(|_| value.is_object()) {
                    return fail(format!("{key} is missing"));
                }
            }
            "properties" => {
                for (key, schema) in rule.as_object().unwrap() {
                    if let Some(inner) = value.get(key) {
                        validate(root, schema, inner, &format!("{at}.{key}"))?;
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                for (key, inner) in value.as_object().into_iter().flatten() {
                    if known.is_some_and(|k| k.contains_key(key)) {
                        continue;
                    }
                    match rule {
                        Value::Bool(false) => return fail(format!("{key} is not described")),
                        Value::Bool(true) => {}
                        schema => validate(root, schema, inner, &format!("{at}.{key}"))?,
                    }
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(root, rule, item, &format!("{at}[{n}]"))?;
                }
            }
            "oneOf" => {
                let tried: Vec<_> =
                    rule.as_array().unwrap().iter().map(|s| validate(root, s, value, at)).collect();
                if tried.iter().filter(|r| r.is_ok()).count() != 1 {
                    return fail(format!("not exactly one of: {tried:?}"));
                }
            }
            other => return fail(format!("the validator does not know {other}")),
        }
    }
    Ok(())
}

fn is_type(ty: &str, value: &Value) -> bool {
    match ty {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type {other}"),
    }
}
