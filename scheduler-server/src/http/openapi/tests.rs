use std::collections::{BTreeMap, BTreeSet};

use super::super::rest;
use super::super::rest::routes::Body;
use super::*;

fn written() -> Json {
    document(&Table::new())
}

/// Every operation, by verb and path.
fn operations(document: &Json) -> BTreeMap<(String, String), Json> {
    let items = document["paths"].as_object().unwrap().iter();
    let operations = items.flat_map(|(path, item)| {
        let verbs = item.as_object().unwrap().iter();
        verbs.map(|(verb, operation)| ((verb.to_uppercase(), path.clone()), operation.clone())).collect::<Vec<_>>()
    });
    operations.collect()
}

#[test]
fn the_document_names_exactly_the_routes_of_the_table_and_those_by_hand() {
    let named: BTreeSet<(String, String)> = operations(&written()).into_keys().collect();
    let by_hand = by_hand::PATHS.iter().map(|(verb, path)| (verb.to_uppercase(), (*path).to_owned()));
    let table = Table::new();
    let bound = table.routes().map(|route| (route.verb.to_string(), route.template.in_json()));
    let bound: BTreeSet<(String, String)> = bound.collect();
    assert_eq!(bound.len(), table.routes().count(), "no two routes have one name");
    assert_eq!(named, bound.into_iter().chain(by_hand).collect());
}

#[test]
fn every_operation_has_an_id_of_its_own_and_says_what_it_does() {
    let mut ids = BTreeSet::new();
    for ((verb, path), operation) in operations(&written()) {
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{verb} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{verb} {path}: {parameter}"
            );
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    fn references(json: &Json, found: &mut BTreeSet<String>) {
        match json {
            Json::Object(entries) => {
                found.extend(entries.get("$ref").and_then(Json::as_str).map(str::to_owned));
                entries.values().for_each(|inner| references(inner, found));
            }
            Json::Array(items) => items.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }
    let document = written();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let is_streamed = name.ends_with("RunsResponse") || name == "TailRunLogsResponse";
            assert!(is_streamed || found.contains(&format!("#/components/{kind}/{name}")), "{name}");
        }
    }
}

#[test]
fn every_body_has_an_example_that_the_transcoder_takes() {
    let table = Table::new();
    let mut bound = BTreeSet::new();
    let mut wanted = BTreeSet::from(["ActOnJob".to_owned()]);
    for route in table.routes() {
        let id = operations::id(route, bound.insert(route.method.full_name().to_owned()));
        if route.body != Body::Empty {
            let example = examples::of(&id).unwrap_or_else(|| panic!("{id} has no example"));
            assert_eq!(rest::wrong_with(route, &example.to_string()), "", "{id}");
            wanted.insert(id);
        }
    }
    assert_eq!(wanted, examples::all().keys().cloned().collect(), "and there are no others");
}

#[test]
fn schemas_say_what_the_comments_say() {
    let document = written();
    let schemas = &document["components"]["schemas"];
    let job = &schemas["Job"]["properties"];
    assert_eq!(job["maxInstances"]["minimum"], 1);
    assert_eq!(job["maxInstances"]["maximum"], 10_000);
    assert_eq!(job["uid"]["readOnly"], true);
    assert_eq!(job["overlapPolicy"]["$ref"], "#/components/schemas/Job.OverlapPolicy");
    assert_eq!(job["nextFireTime"]["format"], "date-time");
    assert_eq!(schemas["Job.OverlapPolicy"]["enum"], json!(["SKIP", "QUEUE", "CANCEL_RUNNING"]));
    assert_eq!(schemas["Run"]["properties"]["fencingToken"]["type"], "string");
    assert_eq!(schemas["Task"]["properties"]["payload"]["type"], "object");
    let create = &document["paths"]["/api/v1/scheduler/jobs"]["post"];
    let schema = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(schema["allOf"][1]["required"], json!(["jobId", "task"]));
    let names = |operation: &Json| {
        let parameters = operation["parameters"].as_array().unwrap().iter();
        parameters.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(create), ["namespace", "requestId", "validateOnly"]);
    let put = &document["paths"]["/api/v1/scheduler/jobs/{jobId}"]["put"];
    assert_eq!(names(put), ["jobId", "namespace", "allowMissing", "validateOnly", "If-Match"]);
    let watch = &document["paths"]["/api/v1/scheduler/runs/events"]["get"];
    assert!(names(watch).contains(&"Last-Event-ID".to_owned()));
    assert!(document["components"]["responses"]["NotFound"]["description"].as_str().unwrap().contains("JOB_NOT_FOUND"));
    assert!(
        document["components"]["responses"]["MisdirectedRequest"]["description"].as_str().unwrap().contains("Host")
    );
}

/// The phrases of the comments are read by a program; this is what keeps them true.
#[test]
fn stated_defaults_are_those_that_jobs_get() {
    let proto = punctual_proto::v1::Job {
        job_id: "a".to_owned(),
        task: Some(punctual_proto::v1::Task { r#type: "noop".to_owned(), payload: None }),
        retry: Some(Default::default()),
        retention: Some(Default::default()),
        schedule: Some(Default::default()),
        ..Default::default()
    };
    let now = scheduler_core::time::Timestamp::from_secs(1_700_000_000);
    let (key, definition) = job_spec::definition(&proto, &job_spec::Rules::new(now)).unwrap();
    let stored = scheduler_core::job::Job {
        uid: scheduler_core::ids::JobUid(uuid::Uuid::nil()),
        key,
        definition: definition.into(),
        pause: None,
        revision: 1,
        change_seq: 1,
        effective_from: now,
        create_time: now,
        update_time: now,
        delete_time: None,
        counts: scheduler_core::job::Counts::default(),
    };
    let shown = rest::shown("punctual.v1.Job", &job_spec::job(&stored, None, now, &|_| None));
    let document = written();
    let mut stated = 0;
    let messages = [("Job", &shown), ("RetryPolicy", &shown["retry"]), ("Retention", &shown["retention"])];
    for (name, values) in messages {
        for (field, schema) in document["components"]["schemas"][name]["properties"].as_object().unwrap() {
            if let Some(default) = schema.get("default") {
                assert_eq!(&values[field], default, "{name}.{field}");
                stated += 1;
            }
        }
    }
    assert!(stated >= 18, "{stated} defaults are stated");
}

#[tokio::test]
async fn a_client_that_has_the_document_is_not_sent_it_again() {
    let first = show(HeaderMap::new()).await;
    assert_eq!(first.status(), StatusCode::OK);
    let etag = first.headers()[header::ETAG].clone();
    let again = show(HeaderMap::from_iter([(header::IF_NONE_MATCH, etag)])).await;
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let other = show(HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""))])).await;
    assert_eq!(other.status(), StatusCode::OK);
    assert_eq!(not_allowed().await.status(), StatusCode::METHOD_NOT_ALLOWED);
}
