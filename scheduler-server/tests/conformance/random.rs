//! Jobs by chance: valid, and with every field that a job can have.

use std::hash::{BuildHasher, RandomState};

use serde_json::{Map, Value as Json, json};

const SEED: &str = "PUNCTUAL_TEST_SEED";

/// A value of a field.
type Value = fn(&mut Random) -> Json;

/// Numbers that follow from a seed.
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// From `PUNCTUAL_TEST_SEED`, else another one each time; the seed is printed.
    pub(crate) fn seeded() -> Self {
        let seed = match std::env::var(SEED) {
            Ok(seed) => seed.parse().unwrap_or_else(|_| panic!("{SEED}={seed} is not a number")),
            Err(_) => RandomState::new().hash_one(()),
        };
        println!("{SEED}={seed}");
        Self { state: seed }
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        // A step of splitmix64.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize].clone()
    }

    fn number(&mut self, least: i64, most: i64) -> Json {
        let bounds = [least, most, least + self.below((most - least + 1) as u64) as i64];
        self.one_of(&bounds).into()
    }

    fn text(&mut self) -> String {
        let parts = ["a", "Ω", " ", "\"", "\\", "é\u{301}", "\n", "日本", "z-9", "'; --", "😀", "\u{7f}", "%00"];
        (0..self.below(6)).map(|_| self.one_of(&parts)).collect()
    }

    fn duration(&mut self, least_ms: u64, most_ms: u64) -> Json {
        let ms = least_ms + self.below(most_ms - least_ms + 1);
        let micros = if self.below(4) == 0 { self.below(1_000) } else { 0 };
        seconds(ms * 1_000 + micros)
    }

    fn labels(&mut self) -> Json {
        let keys = ["team", "a.b", "x/y", "Größe", "0"];
        let labels = (0..self.below(4)).map(|_| (self.one_of(&keys).to_owned(), self.text().into()));
        Json::Object(labels.collect())
    }

    /// With whole and broken numbers, in lists and objects.
    fn anything(&mut self, depth: u64) -> Json {
        match self.below(if depth == 0 { 6 } else { 8 }) {
            0 => Json::Null,
            1 => (self.below(2) == 0).into(),
            2 => self.text().into(),
            3 => self.number(-(1 << 53), 1 << 53),
            4 => (self.below(1 << 40) as f64 / 1024.0 - 1e6).into(),
            5 => self.one_of(&[json!({}), json!([]), json!(0), json!(-0.5), json!(1e-7)]),
            6 => (0..self.below(4)).map(|_| self.anything(depth - 1)).collect(),
            _ => Json::Object((0..self.below(4)).map(|_| (self.text(), self.anything(depth - 1))).collect()),
        }
    }

    fn schedule(&mut self) -> Json {
        let mut schedule = Map::new();
        let crons = [
            "0 2 * * *",
            "*/5 9-17 * * MON-FRI",
            "H H * * *",
            "30 0 2 L * ? 2090-2099",
            "@daily",
            "0 0 1W * *",
            "15 10 * * +5#3",
        ];
        let mut put = |key: &str, value: Json| schedule.insert(key.to_owned(), value);
        match self.below(4) {
            0 => {
                put("afterCompletion", self.duration(1_000, 1_000_000_000));
            }
            1 => {}
            _ => {
                put("cron", (0..1 + self.below(3)).map(|_| Json::from(self.one_of(&crons))).collect());
                put("every", (0..self.below(3)).map(|_| self.duration(86_400_000, 9_000_000_000)).collect());
                put("at", (0..self.below(3)).map(|_| Json::from(self.instant(2050, 2098))).collect());
                if self.below(2) == 0 {
                    put("jitter", self.duration(0, 5_000));
                }
            }
        }
        if self.below(2) == 0 {
            put("timeZone", self.one_of(&["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe"]).into());
        }
        if self.below(3) == 0 {
            put("startTime", self.instant(2030, 2040).into());
            put("endTime", self.instant(2099, 2199).into());
        }
        if self.below(2) == 0 {
            let (gap, overlap) = (self.one_of(&["NEXT_VALID", "SKIP"]), self.one_of(&["FIRST", "LAST", "BOTH"]));
            put("dst", json!({"gap": gap, "overlap": overlap}));
        }
        if self.below(3) == 0 {
            put("excludeCalendars", json!(["holidays"]));
        }
        if self.below(3) == 0 {
            put("maxFires", self.number(1, 1_000_000));
        }
        Json::Object(schedule)
    }

    fn instant(&mut self, from: u64, to: u64) -> String {
        let year = from + self.below(to - from + 1);
        let (month, day) = (1 + self.below(12), 1 + self.below(28));
        let (hour, minute, second) = (self.below(24), self.below(60), self.below(60));
        let part = self.one_of(&["", ".500", ".000001"]);
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{part}Z")
    }

    fn task(&mut self) -> Json {
        let seconds = self.duration(0, 100_000);
        match self.below(4) {
            0 => json!({"type": "noop", "payload": {"duration": seconds, "result": self.anything(3)}}),
            1 => {
                json!({"type": "process", "payload": {"command": ["echo", self.text()], "env": {"A": self.text()}}})
            }
            2 => json!({"type": "http", "payload": {"url": "http://127.0.0.1:1/x?y=z", "method": "PUT"}}),
            _ => {
                let payload: Map<String, Json> = (0..self.below(4)).map(|_| (self.text(), self.anything(3))).collect();
                json!({"type": "billing/report:v2", "payload": payload})
            }
        }
    }

    fn retry(&mut self) -> Json {
        let codes: Vec<&str> = (0..self.below(3)).map(|_| self.one_of(&["EXIT_1", "HTTP_503", "own code"])).collect();
        let multiplier = self.one_of(&[1.0, 1.5, 2.0, 9.75]);
        json!({
            "maxAttempts": self.number(1, 100),
            "initialBackoff": self.duration(0, 60_000),
            "backoffMultiplier": multiplier,
            "maxBackoff": self.duration(60_001, 100_000_000),
            "nonRetryableCodes": codes,
        })
    }

    /// A valid job. It has no fire for years, so that nothing happens to it meanwhile.
    pub(crate) fn job(&mut self, job_id: &str) -> Json {
        let mut job = Map::from_iter([("jobId".to_owned(), job_id.into()), ("task".to_owned(), self.task())]);
        let fields: [(&str, Value); 21] = [
            ("displayName", |random| random.text().into()),
            ("description", |random| random.text().into()),
            ("labels", Self::labels),
            ("schedule", Self::schedule),
            ("queue", |random| random.one_of(&["default", "GPU", "a/b:c"]).into()),
            ("agentSelector", Self::labels),
            ("priority", |random| random.number(-1_000, 1_000)),
            ("maxInstances", |random| random.number(1, 10_000)),
            ("misfireGraceTime", |random| random.duration(0, 1_000_000)),
            ("coalesce", |random| (random.below(2) == 0).into()),
            ("overlapPolicy", |random| random.one_of(&["SKIP", "QUEUE", "CANCEL_RUNNING"]).into()),
            ("maxQueued", |random| random.number(0, 1_000_000)),
            ("retry", Self::retry),
            ("timeout", |random| random.duration(1_000, 1_000_000_000)),
            ("killGrace", |random| random.duration(0, 86_400_000)),
            ("startDeadline", |random| random.duration(1_000, 1_000_000_000)),
            ("onLost", |random| random.one_of(&["RETRY", "FAIL"]).into()),
            ("pauseAfterFailures", |random| random.number(0, 1_000_000)),
            ("deleteAfterCompletion", |random| (random.below(2) == 0).into()),
            (
                "retention",
                |random| json!({"maxRuns": random.number(1, 10_000_000), "maxAge": random.duration(1_000, 100_000_000)}),
            ),
            ("enabled", |random| (random.below(2) == 0).into()),
        ];
        for (name, value) in fields {
            if self.below(4) != 0 {
                job.insert(name.to_owned(), value(self));
            }
        }
        Json::Object(job)
    }
}

fn seconds(micros: u64) -> Json {
    format!("{}.{:06}s", micros / 1_000_000, micros % 1_000_000).into()
}
