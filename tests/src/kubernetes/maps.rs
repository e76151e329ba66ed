//! ConfigMaps of one namespace: how a real server takes and refuses them.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use serde_json::{Value, json};

use super::rules::{Refusal, Verb, parameters};

const FOLDER: &str = "/api/v1/namespaces/vitals/configmaps";
/// Most bytes of all data of a map (`MaxSecretSize` of its validation).
const MOST: usize = 1 << 20;

/// Writes a map as it is asked for, if it may be: the verb, and the map by then.
pub(super) fn write(
    maps: &mut BTreeMap<String, Value>,
    allowed: &BTreeSet<Verb>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(Verb, Value), Refusal> {
    let not_found = |what: &str| Refusal(StatusCode::NOT_FOUND, "NotFound", format!("{what} not found"));
    let Some(rest) = uri.path().strip_prefix(FOLDER) else {
        return Err(not_found(uri.path()));
    };
    let (verb, form) = match (method, rest.strip_prefix('/')) {
        (&Method::POST, None) => (Verb::Create, "application/json"),
        (&Method::PATCH, Some(_)) => (Verb::Patch, "application/merge-patch+json"),
        _ => {
            let message = "the server does not allow this method on the requested resource".to_owned();
            return Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message));
        }
    };
    if !allowed.contains(&verb) {
        let message = format!(
            "configmaps is forbidden: User \"system:serviceaccount:vitals:tcpvitals\" cannot {} resource \"configmaps\" in API \
             group \"\" in the namespace \"vitals\"",
            verb.word()
        );
        return Err(Refusal(StatusCode::FORBIDDEN, "Forbidden", message));
    }
    let asked = parameters(uri)?;
    if asked.len() != 1 || !asked.contains_key("fieldManager") {
        return Err(Refusal::bad(format!("who writes says so, and nothing else: {asked:?}")));
    }
    if headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|found| found.as_bytes() != form.as_bytes())
    {
        let message = format!("the body of the request is not in {form}");
        return Err(Refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        ));
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))?;
    let name = match verb {
        Verb::Create => text(&body["metadata"]["name"])?,
        Verb::List | Verb::Watch | Verb::Patch => rest.trim_start_matches('/').to_owned(),
    };
    let map = match (verb, maps.get(&name)) {
        (Verb::Create, Some(_)) => {
            let message = format!("configmaps \"{name}\" already exists");
            return Err(Refusal(StatusCode::CONFLICT, "AlreadyExists", message));
        }
        (Verb::Create, None) => {
            if (body["apiVersion"].as_str(), body["kind"].as_str()) != (Some("v1"), Some("ConfigMap")) {
                return Err(Refusal::bad(format!("no ConfigMap: {body}")));
            }
            body
        }
        (_, None) => return Err(not_found(&format!("configmaps \"{name}\""))),
        (_, Some(map)) => {
            if body
                .as_object()
                .is_none_or(|parts| parts.len() != 1 || !parts.contains_key("data"))
            {
                return Err(Refusal::bad(format!("a patch of more than data: {body}")));
            }
            let mut map = map.clone();
            for (key, value) in body["data"].as_object().into_iter().flatten() {
                map["data"][key] = value.clone();
            }
            map
        }
    };
    let mut size = 0;
    for (key, value) in map["data"].as_object().into_iter().flatten() {
        size += key.len() + text(value)?.len();
    }
    if size > MOST {
        let message = format!("ConfigMap \"{name}\" is invalid: []: Too long: must have at most {MOST} bytes");
        return Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message));
    }
    maps.insert(name, map.clone());
    Ok((verb, map))
}

fn text(value: &Value) -> Result<String, Refusal> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| Refusal::bad(format!("{} is no text", json!(value))))
}
