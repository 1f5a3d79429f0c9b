//! A plain REST client: one connection a call, no retries, no proxy.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::http::Request;

use crate::{Run, until};

const API: &str = "/api/v1/scheduler";
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Rest {
    base: String,
    agent: ureq::Agent,
}

/// What a client knows of a write after it has asked once.
#[derive(Debug)]
pub enum Heard {
    Done(Value),
    /// UNAVAILABLE: not done, and it never will be.
    NotDone,
    /// The connection broke, or the server does not know either.
    Nothing,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub text: String,
}

impl Answer {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The body of an answer that must be 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }
}

impl Rest {
    pub fn new(base: &str) -> Self {
        Self::patient(base, PATIENCE)
    }

    /// The same server, by a client that waits so long for an answer.
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self::patient(&self.base, patience)
    }

    fn patient(base: &str, patience: Duration) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_idle_connections(0)
            .timeout_global(Some(patience))
            .build();
        Self { base: base.to_owned(), agent: config.into() }
    }

    /// One request to any path; an error when the server is not reached.
    pub fn try_call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = match body {
            Some(body) => self.agent.run(request.body(body.to_owned())?)?,
            None => self.agent.run(request.body(())?)?,
        };
        let retry_after =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let status = response.status().as_u16();
        Ok(Answer { status, retry_after, text: response.body_mut().read_to_string()? })
    }

    /// One request to the API, with a JSON body.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let text = body.map(Value::to_string);
        self.try_call(method, &format!("{API}{path}"), &[("content-type", "application/json")], text.as_deref())
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// One write of a client that has to reckon with the server's death.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Heard {
        let text = body.to_string();
        let headers = [("content-type", "application/json")];
        match self.try_call(method, &format!("{API}{path}"), &headers, Some(&text)) {
            Ok(answer) if answer.status == 200 => Heard::Done(answer.json()),
            Ok(answer) => match answer.json()["error"]["status"].as_str() {
                Some("UNAVAILABLE") => Heard::NotDone,
                Some("UNKNOWN") => Heard::Nothing,
                _ => panic!("{method} {path}: {answer:?}"),
            },
            Err(_) => Heard::Nothing,
        }
    }

    /// What is not available is asked for again for a while, as clients do.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        until("an answer to a read", 20, || Some(self.call("GET", path, None)).filter(|answer| answer.status != 503))
            .ok()
    }

    /// Creates a job, and answers it.
    #[track_caller]
    pub fn create(&self, job: &Value) -> Value {
        self.call("POST", "/jobs", Some(job)).ok()
    }

    /// An action without arguments: `pause`, `resume`, `enable`, `disable` answer the job.
    #[track_caller]
    pub fn act(&self, job_id: &str, action: &str) -> Value {
        self.call("POST", &format!("/jobs/{job_id}/action"), Some(&json!({ "action": action }))).ok()
    }

    #[track_caller]
    pub fn trigger(&self, job_id: &str, request_id: &str) -> Run {
        let body = json!({ "action": "trigger", "requestId": request_id });
        Run::read(self.call("POST", &format!("/jobs/{job_id}/action"), Some(&body)).ok())
    }

    #[track_caller]
    pub fn run(&self, run_id: &str) -> Run {
        Run::read(self.get(&format!("/runs/{run_id}")))
    }

    /// All runs of a job, newest first.
    #[track_caller]
    pub fn history(&self, job_id: &str) -> Vec<Run> {
        self.pages(&format!("/jobs/{job_id}/history?pageSize=1000"))
    }

    /// All runs of all pages of a list; `path` has a query.
    #[track_caller]
    pub fn pages(&self, path: &str) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut token = String::new();
        loop {
            let page = self.get(&format!("{path}&pageToken={token}"));
            runs.extend(page["runs"].as_array().expect("because lists are printed").iter().cloned().map(Run::read));
            token = page["nextPageToken"].as_str().expect("because empty strings are printed").to_owned();
            if token.is_empty() {
                return runs;
            }
        }
    }

    /// What the task of a run wrote.
    #[track_caller]
    pub fn logs(&self, run_id: &str) -> String {
        let path = format!("{API}/runs/{run_id}/logs");
        let answer = self.try_call("GET", &path, &[], None).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.text
    }
}
