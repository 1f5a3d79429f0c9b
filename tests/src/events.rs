//! Server-sent events, as a browser takes them: after a broken connection it comes back with the last id.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

const AGAIN: Duration = Duration::from_millis(50);

/// What the server has sent.
#[derive(Clone, Debug, Default)]
pub struct Event {
    pub id: String,
    /// `message` unless the server names it.
    pub name: String,
    pub data: Value,
}

/// One connection, read when the test reads it.
pub struct Events {
    lines: BufReader<Box<dyn Read + Send>>,
}

impl Events {
    /// `url` whole; `last_id` empty: from the start.
    pub fn open(url: &str, last_id: &str) -> Result<Self, ureq::Error> {
        let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build();
        let mut request = ureq::Agent::from(config).get(url);
        if !last_id.is_empty() {
            request = request.header("last-event-id", last_id);
        }
        let mut response = request.call()?;
        if response.status() != 200 {
            let text = response.body_mut().read_to_string()?;
            return Err(ureq::Error::Io(std::io::Error::other(text)));
        }
        let body = response.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(Self { lines: BufReader::new(Box::new(body)) })
    }
}

/// It ends when the connection does, however.
impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut event = Event { name: "message".to_owned(), ..Event::default() };
        let mut data = String::new();
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            match line.split_once(": ").unwrap_or((line, "")) {
                ("id", id) => id.clone_into(&mut event.id),
                ("event", name) => name.clone_into(&mut event.name),
                ("data", more) => data.push_str(more),
                ("", "") if !data.is_empty() => {
                    event.data = serde_json::from_str(&data).expect("because events are JSON");
                    return Some(event);
                }
                _ => {}
            }
        }
    }
}

/// Reads all the time, over as many connections as it takes, and keeps what comes.
pub struct Reader {
    heard: Arc<Mutex<Vec<Event>>>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    pub fn start(url: &str) -> Self {
        let reader = Self { heard: Arc::default(), stop: Arc::default() };
        let (url, heard, stop) = (url.to_owned(), Arc::clone(&reader.heard), Arc::clone(&reader.stop));
        thread::spawn(move || {
            let mut last_id = String::new();
            while !stop.load(Ordering::Relaxed) {
                if let Ok(events) = Events::open(&url, &last_id) {
                    for event in events {
                        if !event.id.is_empty() {
                            event.id.clone_into(&mut last_id);
                        }
                        heard.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                    }
                }
                thread::sleep(AGAIN);
            }
        });
        reader
    }

    pub fn heard(&self) -> Vec<Event> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
